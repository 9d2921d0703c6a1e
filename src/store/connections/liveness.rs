//! Detects a PostgreSQL server that does not answer at all (hung, or behind a network that drops packets), so
//! that requests fail fast instead of waiting for a statement timeout.

use crate::{
    store::postgres::{ServerAddress, addresses},
    util::backoff::jittered,
};
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
/// Longest delay between probes of a server that is down.
const RETRY_DELAY: Duration = Duration::from_millis(300);
/// PostgreSQL's `SSLRequest`: the only message that a server answers to anyone, at once, with a single byte.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Probing,
    Down,
}

/// State of one server, shared by its clones.
#[derive(Clone)]
pub struct LivenessProbe {
    state: Arc<watch::Sender<State>>,
    /// Empty for SQLite, which always answers.
    addresses: Arc<[ServerAddress]>,
    /// Response time of the last answer.
    response_time: Arc<Mutex<Duration>>,
}

impl LivenessProbe {
    pub fn for_file() -> Self {
        Self {
            state: Arc::new(watch::Sender::new(State::Up)),
            addresses: Arc::new([]),
            response_time: Arc::new(Mutex::new(Duration::ZERO)),
        }
    }

    pub fn for_servers(config: &Config) -> Self {
        Self { addresses: addresses(config).into(), ..Self::for_file() }
    }

    /// Returns whether the last probe failed.
    pub fn is_down(&self) -> bool {
        *self.state.borrow() == State::Down
    }

    /// Probes the server; concurrent callers share one probe.
    pub async fn is_up(&self, runtime: &Handle) -> bool {
        if self.addresses.is_empty() {
            return true;
        }
        let begins = self.state.send_if_modified(|state| {
            let is_idle = *state == State::Up;
            if is_idle {
                *state = State::Probing;
            }
            is_idle
        });
        if begins {
            runtime.spawn(self.clone().probe_until_up());
        }
        let mut state = self.state.subscribe();
        let answer = state.wait_for(|state| *state != State::Probing).await;
        answer.is_ok_and(|state| *state == State::Up)
    }

    /// Waits until the server is found not to answer. Probes only while `is_needed`: work that waits for
    /// other work learns from the probes of that work.
    pub async fn until_down(&self, runtime: &Handle, is_needed: impl Fn() -> bool) {
        loop {
            sleep(PROBE_INTERVAL).await;
            let is_up = if is_needed() { self.is_up(runtime).await } else { !self.is_down() };
            if !is_up {
                return;
            }
        }
    }

    /// Probes until the server answers.
    async fn probe_until_up(self) {
        let mut time_limit = self.lock().saturating_mul(3).clamp(ANSWER_TIMEOUTS.0, ANSWER_TIMEOUTS.1);
        while !self.answers(time_limit).await {
            time_limit = time_limit.saturating_mul(2).min(ANSWER_TIMEOUTS.1);
            if self.state.send_replace(State::Down) != State::Down {
                tracing::warn!("the database server does not answer");
            }
            sleep(jittered(RETRY_DELAY)).await;
        }
        if self.state.send_replace(State::Up) == State::Down {
            tracing::info!("the database server answers again");
        }
    }

    async fn answers(&self, time_limit: Duration) -> bool {
        for address in self.addresses.iter() {
            let sent = Instant::now();
            if matches!(timeout(time_limit, probe(address)).await, Ok(Ok(_))) {
                *self.lock() = sent.elapsed();
                return true;
            }
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, Duration> {
        self.response_time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn probe(address: &ServerAddress) -> io::Result<u8> {
    match address {
        ServerAddress::Tcp(host, port) => exchange(TcpStream::connect((host.as_str(), *port)).await?).await,
        ServerAddress::Unix(path) => exchange(UnixStream::connect(path).await?).await,
    }
}

async fn exchange(mut server: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<u8> {
    server.write_all(&SSL_REQUEST).await?;
    server.read_u8().await
}
