//! A supervised connection: amqprs does not reconnect, so a task opens it again whenever it is lost.

use super::{
    amqp_call::{BROKER_BACKOFF, CALL_TIMEOUT, OnRuntime, call, log_failed},
    error::QueueError,
};
use crate::telemetry::metrics::{self, MetricLabel, Open};
use amqprs::{
    Close,
    callbacks::ConnectionCallback,
    channel::Channel,
    connection::{Connection, OpenConnectionArguments},
};
use async_trait::async_trait;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    time::{Instant, interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

const OPEN_TIMEOUT: Duration = Duration::from_secs(3);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// A connection that lasted this long resets the backoff.
const STEADY_PERIOD: Duration = Duration::from_secs(5);
/// Channels closed by the server after which the connection is replaced: each keeps its id for good, and amqprs panics when ids run
/// out (at 2,047, unless the server is configured otherwise).
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

pub(super) struct Live {
    purpose: Purpose,
    connection: OnRuntime<Connection>,
    lost_channels: AtomicU16,
    /// Asks for a new connection in place of this one.
    pub(super) rebuild: Notify,
    /// Set when the connection is no longer used.
    pub(super) gone: CancellationToken,
}

/// The current connection, `None` while it is down.
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

    /// Counts a channel as open until the guard is dropped.
    pub(super) fn count_channel(&self) -> Open {
        Open::new(metrics::broker().channels.of(self.purpose.label()))
    }

    pub(super) fn is_open(&self) -> bool {
        !self.gone.is_cancelled() && self.connection.get().is_some_and(Connection::is_open)
    }

    /// Counts a channel whose id can't be used again.
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

    /// Resolves with the reason when the connection can't be used any more.
    async fn lost(&self) -> &'static str {
        let Some(connection) = self.connection.get() else { return "it was never opened" };
        // A server may allow fewer channels than usual; 0 stands for 65,535.
        let max_lost = match connection.channel_max() {
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
                    if self.lost_channels.load(Ordering::Relaxed) > max_lost {
                        return "too many of its channels were closed by the server";
                    }
                    // If amqprs' reader task has died, `is_open` stays true. This call needs the reader, and is cheap.
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
            // A lost connection closes at once. Other failures don't matter: the connection ends anyway.
            let _ =
                call(self.connection.runtime(), "close the connection", CLOSE_TIMEOUT, connection.close())
                    .await;
        }
    }
}

/// Keeps a connection open until `stop`, and publishes it in `current`.
pub(super) async fn supervise(
    arguments: OpenConnectionArguments,
    purpose: Purpose,
    runtime: Handle,
    current: watch::Sender<Option<Arc<Live>>>,
    stop: CancellationToken,
) {
    let name = arguments.get_connection_name().unwrap_or_default().to_owned();
    let mut backoff = BROKER_BACKOFF;
    loop {
        let opening = open(&arguments, &runtime);
        tokio::pin!(opening);
        let opened = tokio::select! {
            () = stop.cancelled() => {
                // If opening were cancelled half-way, amqprs' own tasks would panic.
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
                    backoff.reset();
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(backoff.next_delay()) => {}
        }
    }
}

/// Opens a connection. Unlike other calls this one is cancelled when it is late, or a silent peer would collect tasks.
async fn open(arguments: &OpenConnectionArguments, runtime: &Handle) -> Result<Connection, QueueError> {
    let arguments = arguments.clone();
    // In a task of its own, because amqprs panics on answers that no AMQP server gives.
    let opening = AbortOnDropHandle::new(runtime.spawn(async move { Connection::open(&arguments).await }));
    match timeout(OPEN_TIMEOUT, opening).await {
        Ok(Ok(opened)) => opened.map_err(|cause| QueueError::Failed { what: "connect", cause }),
        Ok(Err(_)) => Err(QueueError::NotConnected),
        Err(_) => Err(QueueError::TimedOut("connect")),
    }
}

/// Logs the server's reason for closing the connection.
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
