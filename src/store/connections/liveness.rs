//! Detects a PostgreSQL server that does not answer at all (hung, or behind a network that drops packets), so
//! that requests fail fast instead of waiting for a statement timeout.

use crate::store::postgres::{ServerAddress, addresses};
use rand::random_range;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::config::Config;

/// Time after which pending work has the server probed, and then the interval of probes.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// Lower and upper bound on the time a server has to answer a probe: three times its last response time,
/// doubled after each missed answer, because distant servers are slow and not down.
const ANSWER_TIMEOUTS: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(4));
/// Base pause between probes of a server that is down; a random part of up to the same length is added.
const PAUSE_MILLIS: u64 = 150;
/// PostgreSQL's `SSLRequest`: the only message that a server answers to anyone, at once, with a single byte.
const QUESTION: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Beating,
    Asking,
    Gone,
}

/// State of one server, shared by its clones.
#[derive(Clone)]
pub struct LivenessProbe {
    state: Arc<watch::Sender<State>>,
    /// Empty for SQLite, which always answers.
    addresses: Arc<[ServerAddress]>,
    /// Response time of the last answer.
    took: Arc<Mutex<Duration>>,
}

impl LivenessProbe {
    pub fn of_a_file() -> Self {
        Self {
            state: Arc::new(watch::Sender::new(State::Beating)),
            addresses: Arc::new([]),
            took: Arc::new(Mutex::new(Duration::ZERO)),
        }
    }

    pub fn of(config: &Config) -> Self {
        Self { addresses: addresses(config).into(), ..Self::of_a_file() }
    }

    /// Returns whether the last probe failed.
    pub fn is_gone(&self) -> bool {
        *self.state.borrow() == State::Gone
    }

    /// Probes the server; concurrent callers share one probe.
    pub async fn beats(&self, runtime: &Handle) -> bool {
        if self.addresses.is_empty() {
            return true;
        }
        let ask = self.state.send_if_modified(|state| {
            let ask = *state == State::Beating;
            if ask {
                *state = State::Asking;
            }
            ask
        });
        if ask {
            runtime.spawn(self.clone().ask());
        }
        let mut state = self.state.subscribe();
        let answer = state.wait_for(|state| *state != State::Asking).await;
        answer.is_ok_and(|state| *state == State::Beating)
    }

    /// Waits until the server is found not to answer. Probes only while `is_needed`: work that waits for
    /// other work learns from the probes of that work.
    pub async fn stops(&self, runtime: &Handle, is_needed: impl Fn() -> bool) {
        loop {
            sleep(PROBE_INTERVAL).await;
            let beats = if is_needed() { self.beats(runtime).await } else { !self.is_gone() };
            if !beats {
                return;
            }
        }
    }

    /// Probes until the server answers.
    async fn ask(self) {
        let mut within = self.lock().saturating_mul(3).clamp(ANSWER_TIMEOUTS.0, ANSWER_TIMEOUTS.1);
        while !self.answers(within).await {
            within = within.saturating_mul(2).min(ANSWER_TIMEOUTS.1);
            if self.state.send_replace(State::Gone) != State::Gone {
                tracing::warn!("the database server does not answer");
            }
            sleep(Duration::from_millis(random_range(PAUSE_MILLIS..2 * PAUSE_MILLIS))).await;
        }
        if self.state.send_replace(State::Beating) == State::Gone {
            tracing::info!("the database server answers again");
        }
    }

    async fn answers(&self, within: Duration) -> bool {
        for address in self.addresses.iter() {
            let asked = Instant::now();
            if matches!(timeout(within, question(address)).await, Ok(Ok(_))) {
                *self.lock() = asked.elapsed();
                return true;
            }
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, Duration> {
        self.took.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn question(address: &ServerAddress) -> io::Result<u8> {
    match address {
        ServerAddress::Tcp(host, port) => put(TcpStream::connect((host.as_str(), *port)).await?).await,
        ServerAddress::Unix(path) => put(UnixStream::connect(path).await?).await,
    }
}

async fn put(mut server: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<u8> {
    server.write_all(&QUESTION).await?;
    server.read_u8().await
}
