//! Whether the database server answers at all: tells a statement that takes its time from a server that hangs, or a line that
//! swallows everything, so that nobody waits long for the latter.

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

/// How long something may take before the server is asked whether it is there at all, and before it is asked again.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// How long a server has to answer, at the least and at the most: three times as long as its last answer took, and longer
/// each time it did not answer. For some are far away, and not gone.
const ANSWER_TIMEOUTS: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(4));
/// The pauses between two questions to one that did not: this long, to twice as long.
const PAUSE_MILLIS: u64 = 150;
/// PostgreSQL's `SSLRequest`: the one question that a server answers to anybody, at once, and with one byte.
const QUESTION: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Beating,
    Asking,
    Gone,
}

/// The pulse of one server. Cheap to clone.
#[derive(Clone)]
pub struct LivenessProbe {
    state: Arc<watch::Sender<State>>,
    /// None: a file, which always answers.
    addresses: Arc<[ServerAddress]>,
    /// How long the last answer took.
    took: Arc<Mutex<Duration>>,
}

impl LivenessProbe {
    /// Of a database that is a file.
    pub fn of_a_file() -> Self {
        Self {
            state: Arc::new(watch::Sender::new(State::Beating)),
            addresses: Arc::new([]),
            took: Arc::new(Mutex::new(Duration::ZERO)),
        }
    }

    /// Of the servers that a URL names.
    pub fn of(config: &Config) -> Self {
        Self { addresses: addresses(config).into(), ..Self::of_a_file() }
    }

    /// Whether the server was found not to answer, and does not yet.
    pub fn is_gone(&self) -> bool {
        *self.state.borrow() == State::Gone
    }

    /// Asks the server, on that runtime, whether it is there; whoever asks meanwhile shares the answer.
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

    /// Waits until the server is found not to answer. It is asked only where it is needed now: what waits for other work learns
    /// from those who ask.
    pub async fn stops(&self, runtime: &Handle, is_needed: impl Fn() -> bool) {
        loop {
            sleep(PROBE_INTERVAL).await;
            let beats = if is_needed() { self.beats(runtime).await } else { !self.is_gone() };
            if !beats {
                return;
            }
        }
    }

    /// Asks until the server answers.
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
