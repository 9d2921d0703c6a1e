//! A watchdog over the HTTP threads.
//!
//! Each of them runs all of its connections on one single-threaded runtime, so that a handler that never yields stops them all,
//! while the rest of the process looks well. The watchdog therefore runs on a plain thread of its own, which needs no runtime.

use crate::{
    telemetry::{self, metrics},
    util::fault_injection,
};
use actix_web::rt;
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval};

/// The interval at which each thread shows that it runs and the watchdog checks.
const TICK_INTERVAL: Duration = Duration::from_millis(250);
/// The time without a tick after which a thread counts as stalled.
const STALL_TIMEOUT: Duration = Duration::from_secs(2);
/// The time without a tick after which the process exits, so that its supervisor restarts it.
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time between two checks that counts. If it is longer, the watchdog itself did not run (SIGSTOP, a paused machine),
/// and so the threads may not have run either.
const MAX_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Watches over the HTTP threads of a process until its last clone is gone. Cheap to clone.
#[derive(Clone)]
pub struct ThreadWatchdog(Arc<Threads>);

struct Threads {
    /// Of each thread as long as its runtime exists: a thread that has ended is not stalled.
    ticks: Mutex<HashMap<ThreadId, Weak<ThreadTicks>>>,
    stalled: AtomicUsize,
    /// Ends the watchdog's thread when it is dropped.
    _alive: SyncSender<()>,
}

/// Ticks of a thread, which show that it runs.
struct ThreadTicks {
    name: String,
    count: AtomicU64,
}

impl ThreadWatchdog {
    pub fn start() -> io::Result<Self> {
        let (alive, ended) = mpsc::sync_channel(0);
        let threads =
            Arc::new(Threads { ticks: Mutex::default(), stalled: AtomicUsize::new(0), _alive: alive });
        let watch = Watch::over(Arc::downgrade(&threads));
        thread::Builder::new().name("http-watchdog".into()).spawn(move || watch.run(&ended))?;
        Ok(Self(threads))
    }

    /// Returns the number of stalled threads.
    pub fn stalled(&self) -> usize {
        self.0.stalled.load(Ordering::Relaxed)
    }

    /// Watches over the current thread as long as its runtime exists. Must be called on that runtime. `server` is the name in logs.
    pub fn watch_this_thread(&self, server: &str) {
        let name = format!("{server}, {}", thread::current().name().unwrap_or_default());
        let ticks = Arc::new(ThreadTicks { name, count: AtomicU64::new(0) });
        // A service that is made again on the same thread replaces its ticks.
        self.0.lock().insert(thread::current().id(), Arc::downgrade(&ticks));
        rt::spawn(async move {
            let mut interval = interval(TICK_INTERVAL);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                ticks.count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

impl Threads {
    fn lock(&self) -> MutexGuard<'_, HashMap<ThreadId, Weak<ThreadTicks>>> {
        self.ticks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the ticks of the threads that have not ended.
    fn watched(&self) -> HashMap<ThreadId, Arc<ThreadTicks>> {
        let mut all = self.lock();
        all.retain(|_, ticks| ticks.strong_count() > 0);
        all.iter().filter_map(|(id, ticks)| Some((*id, ticks.upgrade()?))).collect()
    }
}

/// The state of the watchdog's thread.
struct Watch {
    threads: Weak<Threads>,
    silences: HashMap<ThreadId, Silence>,
    exit_timeout: Duration,
}

impl Watch {
    fn over(threads: Weak<Threads>) -> Self {
        let exit_timeout = fault_injection::stall_exit_timeout().unwrap_or(EXIT_TIMEOUT);
        Self { threads, silences: HashMap::new(), exit_timeout }
    }

    fn run(mut self, ended: &Receiver<()>) {
        let mut checked = Instant::now();
        while ended.recv_timeout(TICK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            let now = Instant::now();
            let elapsed = now.duration_since(checked).min(MAX_CHECK_INTERVAL);
            checked = now;
            let Some(threads) = self.threads.upgrade() else { return };
            self.check(&threads, elapsed);
        }
    }

    fn check(&mut self, threads: &Threads, elapsed: Duration) {
        let watched = threads.watched();
        self.silences.retain(|id, silence| {
            let stays = watched.contains_key(id);
            if !stays && silence.is_stalled() {
                tracing::info!("a stalled HTTP thread ended");
            }
            stays
        });
        let (mut stalled, mut longest) = (0, Duration::ZERO);
        for (id, ticks) in watched {
            let silence = self.silences.entry(id).or_default();
            let was_stalled = silence.is_stalled();
            silence.observe(ticks.count.load(Ordering::Relaxed), elapsed);
            let thread = ticks.name.as_str();
            match (was_stalled, silence.is_stalled()) {
                (false, true) => tracing::error!(
                    http.thread = thread,
                    "an HTTP thread does not run: its connections get no answers"
                ),
                (true, false) => tracing::info!(http.thread = thread, "the HTTP thread runs again"),
                _ => {}
            }
            stalled += usize::from(silence.is_stalled());
            longest = longest.max(silence.lasting);
        }
        threads.stalled.store(stalled, Ordering::Relaxed);
        metrics::http().threads_stalled.set(i64::try_from(stalled).unwrap_or(i64::MAX));
        metrics::http().thread_stall.set(if stalled > 0 { longest.as_secs_f64() } else { 0.0 });
        if longest >= self.exit_timeout {
            telemetry::exit_with_failure(format!(
                "an HTTP thread has not run for {} s: the process ends, to be started anew",
                self.exit_timeout.as_secs()
            ));
        }
    }
}

/// The time without a tick of a thread.
#[derive(Default)]
struct Silence {
    count: u64,
    lasting: Duration,
}

impl Silence {
    fn observe(&mut self, count: u64, elapsed: Duration) {
        if count == self.count {
            self.lasting += elapsed;
        } else {
            *self = Self { count, lasting: Duration::ZERO };
        }
    }

    fn is_stalled(&self) -> bool {
        self.lasting >= STALL_TIMEOUT
    }
}
