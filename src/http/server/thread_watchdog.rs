//! A watchdog over the threads that answer requests.
//!
//! Each of them runs all of its connections on one single-threaded runtime, so a handler that never yields stops them all, while
//! the rest of the process looks well. The watchdog therefore runs on a plain thread of its own, which needs no runtime.

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

/// How often each thread shows that it runs, and how often the watchdog looks.
const TICK_INTERVAL: Duration = Duration::from_millis(250);
/// How long a thread may show nothing before it counts as stalled.
const STALL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a thread may be stalled before the process ends, so that its supervisor starts it anew.
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time between two looks that counts. In what is beyond, the watchdog itself did not run (SIGSTOP, a paused
/// machine), and so the threads may not have run either.
const MAX_LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Watches over the HTTP threads of a process until its last clone is gone. Cheap to clone.
#[derive(Clone)]
pub struct ThreadWatchdog(Arc<Threads>);

struct Threads {
    ticks: Mutex<HashMap<ThreadId, Arc<ThreadTicks>>>,
    stalled: AtomicUsize,
    /// Tells the watchdog's thread to end, by being dropped.
    _alive: SyncSender<()>,
}

/// Shows that a thread runs.
struct ThreadTicks {
    name: String,
    count: AtomicU64,
}

impl ThreadWatchdog {
    /// Starts the thread that watches.
    pub fn start() -> io::Result<Self> {
        let (alive, ended) = mpsc::sync_channel(0);
        let threads =
            Arc::new(Threads { ticks: Mutex::default(), stalled: AtomicUsize::new(0), _alive: alive });
        let watch = Watch::over(Arc::downgrade(&threads));
        thread::Builder::new().name("http-watchdog".into()).spawn(move || watch.run(&ended))?;
        Ok(Self(threads))
    }

    /// Returns how many threads are stalled.
    pub fn stalled(&self) -> usize {
        self.0.stalled.load(Ordering::Relaxed)
    }

    /// Watches over the present thread as long as its runtime is there. Must be called on that runtime. `server` names what it
    /// answers.
    pub fn watch_this_thread(&self, server: &str) {
        let id = thread::current().id();
        let name = format!("{server}, {}", thread::current().name().unwrap_or_default());
        let ticks = Arc::new(ThreadTicks { name, count: AtomicU64::new(0) });
        // A service that is made anew on the same thread replaces what was there.
        self.0.lock().insert(id, Arc::clone(&ticks));
        let watched = WatchedThread { id, ticks, threads: Arc::downgrade(&self.0) };
        rt::spawn(async move {
            let mut interval = interval(TICK_INTERVAL);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                watched.ticks.count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

impl Threads {
    fn lock(&self) -> MutexGuard<'_, HashMap<ThreadId, Arc<ThreadTicks>>> {
        self.ticks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the watch when the thread's runtime ends: a thread that has stopped is not stalled.
struct WatchedThread {
    id: ThreadId,
    ticks: Arc<ThreadTicks>,
    threads: Weak<Threads>,
}

impl Drop for WatchedThread {
    fn drop(&mut self) {
        let Some(threads) = self.threads.upgrade() else { return };
        let mut watched = threads.lock();
        if watched.get(&self.id).is_some_and(|ticks| Arc::ptr_eq(ticks, &self.ticks)) {
            watched.remove(&self.id);
        }
    }
}

/// The watchdog's side.
struct Watch {
    threads: Weak<Threads>,
    seen: HashMap<ThreadId, Silence>,
    exit_timeout: Duration,
}

impl Watch {
    fn over(threads: Weak<Threads>) -> Self {
        let exit_timeout = fault_injection::stall_exit_timeout().unwrap_or(EXIT_TIMEOUT);
        Self { threads, seen: HashMap::new(), exit_timeout }
    }

    fn run(mut self, ended: &Receiver<()>) {
        let mut looked = Instant::now();
        while ended.recv_timeout(TICK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            let now = Instant::now();
            let elapsed = now.duration_since(looked).min(MAX_LOOK_INTERVAL);
            looked = now;
            let Some(threads) = self.threads.upgrade() else { return };
            self.look(&threads, elapsed);
        }
    }

    fn look(&mut self, threads: &Threads, elapsed: Duration) {
        let watched = threads.lock().clone();
        self.seen.retain(|id, silence| {
            let stays = watched.contains_key(id);
            if !stays && silence.is_stalled() {
                tracing::info!("a stalled HTTP thread ended");
            }
            stays
        });
        let (mut stalled, mut longest) = (0, Duration::ZERO);
        for (id, ticks) in watched {
            let silence = self.seen.entry(id).or_default();
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

/// How long a thread has shown nothing.
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
