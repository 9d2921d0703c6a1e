//! A connection that is opened again whenever it is lost: amqprs does not reconnect.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use amqprs::Close;
use amqprs::callbacks::ConnectionCallback;
use amqprs::channel::Channel;
use amqprs::connection::{Connection, OpenConnectionArguments};
use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::QueueError;
use super::amqp_call::{Backoff, CALL_TIMEOUT, OnRuntime, call, log_failed};
use crate::telemetry::metrics::{self, MetricLabel, Open};

const OPEN_TIMEOUT: Duration = Duration::from_secs(3);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// A connection that lived this long starts the pauses anew.
const STEADY_PERIOD: Duration = Duration::from_secs(5);
/// Channels closed by the server before the connection is rebuilt: each keeps its id for good, and amqprs panics when
/// they run out (at 2,047, unless the server is set otherwise).
const MAX_LOST_CHANNELS: u16 = 200;

#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Publishing,
    Consuming,
}

impl MetricLabel for Purpose {
    fn label(&self) -> &'static str {
        match self {
            Self::Publishing => "publishing",
            Self::Consuming => "consuming",
        }
    }
}

/// One open connection.
pub(super) struct Live {
    purpose: Purpose,
    connection: OnRuntime<Connection>,
    lost_channels: AtomicU16,
    rebuild: Notify,
    gone: CancellationToken,
}

/// The connection as it is now: none while it is down.
pub(super) type Current = watch::Receiver<Option<Arc<Live>>>;

impl Live {
    fn new(connection: Connection, purpose: Purpose, runtime: Handle) -> Self {
        Self {
            purpose,
            connection: OnRuntime::new(connection, runtime),
            lost_channels: AtomicU16::new(0),
            rebuild: Notify::new(),
            gone: CancellationToken::new(),
        }
    }

    /// Counts a channel as open on it.
    pub(super) fn count_channel(&self) -> Open {
        Open::new(metrics::broker().channels.of(self.purpose.label()))
    }

    pub(super) fn is_open(&self) -> bool {
        !self.gone.is_cancelled() && self.connection.get().is_some_and(Connection::is_open)
    }

    /// Resolves when the connection has been given up.
    pub(super) async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// Asks for a new connection in place of this one.
    pub(super) fn rebuild(&self) {
        self.rebuild.notify_one();
    }

    /// Counts a channel whose id will not come back.
    pub(super) fn channel_lost(&self) {
        self.lost_channels.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) async fn open_channel(&self) -> Result<OnRuntime<Channel>, QueueError> {
        let connection = self.connection.get().cloned().ok_or(QueueError::NotConnected)?;
        let runtime = self.connection.runtime();
        let opened =
            call(runtime, "open a channel", CALL_TIMEOUT, async move { connection.open_channel(None).await })
                .await;
        if matches!(opened, Err(QueueError::TimedOut(_))) {
            self.channel_lost();
        }
        opened.map(|channel| OnRuntime::new(channel, runtime.clone()))
    }

    /// Resolves with the reason when the connection is of no more use.
    async fn lost(&self) -> &'static str {
        let Some(connection) = self.connection.get() else { return "it was never there" };
        // A server may allow fewer channels than usual; 0 stands for all 65,535.
        let most_lost = match connection.channel_max() {
            0 => MAX_LOST_CHANNELS,
            allowed => MAX_LOST_CHANNELS.min(allowed / 2),
        };
        let mut poll = interval(POLL_INTERVAL);
        let failure = connection.listen_network_io_failure();
        tokio::pin!(failure);
        loop {
            tokio::select! {
                _ = &mut failure => return "it was closed",
                () = self.rebuild.notified() => return "its messages are no longer confirmed",
                _ = poll.tick() => {
                    if !connection.is_open() {
                        return "it was closed";
                    }
                    if self.lost_channels.load(Ordering::Relaxed) > most_lost {
                        return "too many of its channels were closed by the server";
                    }
                    // A reader task that died leaves `is_open` true; this call needs it, and is cheap.
                    if !matches!(timeout(CALL_TIMEOUT, connection.register_callback(Log)).await, Ok(Ok(()))) {
                        return "its reader stopped";
                    }
                }
            }
        }
    }

    async fn close(&self) {
        self.gone.cancel();
        if let Some(connection) = self.connection.get().cloned() {
            // A connection that is already lost closes at once; what else can fail here, its end repairs.
            let _ =
                call(self.connection.runtime(), "close the connection", CLOSE_TIMEOUT, connection.close())
                    .await;
        }
    }
}

/// Keeps a connection open until `stop`, and shows it in `current`.
pub(super) async fn supervise(
    arguments: OpenConnectionArguments,
    purpose: Purpose,
    runtime: Handle,
    current: watch::Sender<Option<Arc<Live>>>,
    stop: CancellationToken,
) {
    let name = arguments.get_connection_name().unwrap_or_default().to_owned();
    let mut backoff = Backoff::new();
    loop {
        let opening = open(&arguments, &runtime);
        tokio::pin!(opening);
        let opened = tokio::select! {
            () = stop.cancelled() => {
                // Called off half-way, amqprs' own tasks would panic.
                if let Ok(connection) = opening.await {
                    Live::new(connection, purpose, runtime.clone()).close().await;
                }
                return;
            }
            opened = &mut opening => opened,
        };
        match opened {
            Err(error) => log_failed(&name, &error),
            Ok(connection) => {
                let since = Instant::now();
                let live = Arc::new(Live::new(connection, purpose, runtime.clone()));
                metrics::broker().opened.of(purpose.label()).inc();
                let connected = Open::new(metrics::broker().connected.of(purpose.label()));
                current.send_replace(Some(live.clone()));
                tracing::info!(connection = name, "connected to the broker");
                let reason = tokio::select! {
                    () = stop.cancelled() => None,
                    reason = live.lost() => Some(reason),
                };
                current.send_replace(None);
                drop(connected);
                live.close().await;
                let Some(reason) = reason else { return };
                tracing::warn!(connection = name, reason, "lost the connection to the broker");
                if since.elapsed() > STEADY_PERIOD {
                    backoff = Backoff::new();
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(backoff.pause()) => {}
        }
    }
}

/// Opens a connection; unlike other calls this one is cancelled when late, or a silent peer would collect tasks.
async fn open(arguments: &OpenConnectionArguments, runtime: &Handle) -> Result<Connection, QueueError> {
    let arguments = arguments.clone();
    // A task of its own: amqprs panics on some answers that no AMQP server gives.
    let opening = AbortOnDropHandle::new(runtime.spawn(async move { Connection::open(&arguments).await }));
    match timeout(OPEN_TIMEOUT, opening).await {
        Ok(Ok(opened)) => opened.map_err(|cause| QueueError::Failed { what: "connect", cause }),
        Ok(Err(_)) => Err(QueueError::NotConnected),
        Err(_) => Err(QueueError::TimedOut("connect")),
    }
}

/// Logs why the server closes the connection.
struct Log;

#[async_trait]
impl ConnectionCallback for Log {
    async fn close(&mut self, connection: &Connection, close: Close) -> Result<(), amqprs::error::Error> {
        tracing::warn!(connection = connection.connection_name(), reason = %close, "the broker closes the connection");
        Ok(())
    }

    async fn blocked(&mut self, _: &Connection, _: String) {}

    async fn unblocked(&mut self, _: &Connection) {}

    async fn secret_updated(&mut self, _: &Connection) {}
}
