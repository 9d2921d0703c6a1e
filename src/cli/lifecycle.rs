//! The life of a long-running command: it starts, works until a signal or a failed task stops it, finishes what it
//! accepted, and ends with an exit code.
//!
//! | end | exit code |
//! |---|---|
//! | SIGTERM or SIGINT, and everything finished in time | 0 |
//! | a setting is wrong, a background task ended, or something was not finished in time | 1 |
//! | a second SIGTERM or SIGINT | 130, at once |

use super::{
    deployment::Deployment,
    error::{CliError, say},
    startup::ReservedAddress,
};
use crate::{
    config::{ShutdownArgs, TraceArgs},
    http::{self, ServerHandle, ThreadWatchdog},
    services::{health::Health, sampled_metrics::SampledMetrics},
    telemetry::{
        self, log_throttle, report_unlogged,
        traces::{self, Traces},
    },
    util::supervised_tasks::SupervisedTasks,
};
use std::{
    io::{self, IsTerminal, stderr, stdin, stdout},
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

const SECOND_SIGNAL_EXIT_CODE: i32 = 130;

const ADMIN_SERVER: &str = "admin server";

/// A long-running command with all that ends with it.
pub(super) struct Lifecycle {
    pub(super) deployment: Deployment,
    /// Set by the first signal, or when a background task ends.
    pub(super) stop: CancellationToken,
    pub(super) tasks: SupervisedTasks,
    pub(super) shutdown_timeout: Duration,
    traces: Traces,
    admin: Option<ServerHandle>,
}

impl Lifecycle {
    pub(super) fn start(
        role: &'static str,
        deployment: Deployment,
        tracing: &TraceArgs,
        stopping: ShutdownArgs,
        stop: CancellationToken,
    ) -> Result<Self, CliError> {
        let traces = traces::start(tracing, role).map_err(CliError::new)?;
        let mut tasks = SupervisedTasks::default();
        tasks.spawn("summary of the log", report_unlogged(stop.clone()));
        if let Some(broker) = deployment.broker.clone() {
            tasks.spawn("broker", broker.ended());
        }
        Ok(Self { deployment, stop, tasks, shutdown_timeout: stopping.timeout(), traces, admin: None })
    }

    /// Prepares the work, which may have to wait for the database. Returns `None` if a signal came first: nothing has begun.
    pub(super) async fn prepare<T>(
        &self,
        preparation: impl Future<Output = Result<T, CliError>>,
    ) -> Result<Option<T>, CliError> {
        let prepared = self.stop.run_until_cancelled(preparation).await.transpose();
        if !matches!(prepared, Ok(Some(_))) {
            self.deployment.leave().await;
        }
        prepared
    }

    /// Serves health and metrics on an address of their own.
    pub(super) fn serve_admin(
        &mut self,
        reserved: ReservedAddress,
        health: Health,
        metrics: SampledMetrics,
        watchdog: &ThreadWatchdog,
    ) -> Result<(), CliError> {
        let address = reserved.address()?;
        let server = http::serve_admin(health, metrics, reserved.listen()?, self.shutdown_timeout, watchdog)?;
        self.admin = Some(server.handle());
        self.spawn_server(ADMIN_SERVER, server);
        say(format_args!("ShakerQueue serves health and metrics on http://{address}"));
        Ok(())
    }

    /// Runs a server until its handle stops it.
    pub(super) fn spawn_server(
        &mut self,
        name: &'static str,
        server: impl Future<Output = io::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn(name, async {
            if let Err(error) = server.await {
                tracing::error!(%error, "a server failed");
            }
        });
    }

    /// Works until a signal, or until a background task ends, which makes the command fail. Then runs `stopping`, waits for the
    /// task named `first`, and ends the rest: what `first` accepted goes to the broker and the recorder, which therefore end after
    /// it. All of this must finish within the shutdown timeout.
    pub(super) async fn run(self, first: &str, stopping: impl Future<Output = ()>) -> Result<(), CliError> {
        let Self { deployment, stop, mut tasks, shutdown_timeout, traces, admin } = self;
        let ended = tokio::select! {
            // The signal counts first: it ends tasks as well.
            biased;
            () = stop.cancelled() => None,
            ended = tasks.first_end() => Some(ended),
        };
        if let Some(ended) = &ended {
            tracing::error!("{ended}: the process stops so that its supervisor starts it again");
            stop.cancel();
        }
        let deadline = Instant::now() + shutdown_timeout;
        let ending = async {
            stopping.await;
            tasks.finish_task(first).await;
            if let Some(broker) = &deployment.broker {
                broker.close(deadline.saturating_duration_since(Instant::now())).await;
            }
            tasks.finish_all_except(ADMIN_SERVER).await;
            if let Some(admin) = admin {
                admin.stop(false).await;
            }
            tasks.finish_task(ADMIN_SERVER).await;
        };
        let finished = timeout_at(deadline, ending).await;
        traces.finish().await;
        deployment.store.close();
        match ended {
            Some(ended) => Err(CliError::new(ended.to_string())),
            None => finished.map_err(|_| {
                CliError::new(format!("not everything was finished within {} s", shutdown_timeout.as_secs()))
            }),
        }
    }
}

/// Returns a token that the first SIGTERM or SIGINT sets. The second one ends the process at once. Must be called on a runtime.
///
/// SIGHUP, SIGUSR1 and SIGUSR2 would end the process if nobody handled them, and tools that rotate logs or renew certificates
/// send them: they are ignored. One exception: a SIGHUP because the terminal is gone stops a process that was started from it.
pub(super) fn stop_on_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut user_defined = [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?];
    let had_terminal = has_terminal();
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        let [first, second] = &mut user_defined;
        loop {
            let ignored = tokio::select! {
                _ = terminate.recv() => None,
                _ = interrupt.recv() => None,
                _ = hangup.recv() => (!had_terminal || has_terminal()).then_some("SIGHUP"),
                _ = first.recv() => Some("SIGUSR1"),
                _ = second.recv() => Some("SIGUSR2"),
            };
            if let Some(signal) = ignored {
                log_ignored(signal);
                continue;
            }
            if token.is_cancelled() {
                tracing::warn!("received a second signal to stop: ending at once");
                telemetry::exit(SECOND_SIGNAL_EXIT_CODE);
            }
            token.cancel();
            tracing::info!("stopping");
        }
    });
    Ok(stop)
}

/// Returns whether the process has a terminal. A terminal that was closed counts as none.
fn has_terminal() -> bool {
    stdin().is_terminal() || stdout().is_terminal() || stderr().is_terminal()
}

fn log_ignored(signal: &'static str) {
    if let Some(repeated) = log_throttle::admit(signal) {
        tracing::info!(
            signal,
            repeated,
            "ignored a signal: the log goes to standard error, and renewed certificates are read anyway"
        );
    }
}
