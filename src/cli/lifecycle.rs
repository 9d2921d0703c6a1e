//! Signals: SIGTERM and SIGINT ask to stop, a second one ends. Those that other programs take as "reload"
//! change nothing.

use crate::telemetry::{self, log_throttle};
use std::io::{self, IsTerminal, stderr, stdin, stdout};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How a process ends when it is told twice to stop.
const IMPATIENT: i32 = 130;

/// A token that the first signal sets. The second signal ends the process at once. Must be called on a runtime.
///
/// SIGHUP, SIGUSR1 and SIGUSR2 would end the process where nobody handles them, and tools that rotate logs or
/// renew certificates send them: they are ignored, except that a SIGHUP which says that the terminal is gone
/// stops a process that was started from it.
pub fn on_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut user_defined = [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?];
    let had_terminal = has_terminal();
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        let [first, second] = &mut user_defined;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => if !had_terminal || has_terminal() {
                    log_ignored("SIGHUP");
                    continue;
                },
                _ = first.recv() => {
                    log_ignored("SIGUSR1");
                    continue;
                }
                _ = second.recv() => {
                    log_ignored("SIGUSR2");
                    continue;
                }
            }
            if asked.is_cancelled() {
                tracing::warn!("told twice to stop: ending at once");
                telemetry::exit(IMPATIENT);
            }
            asked.cancel();
            tracing::info!("stopping");
        }
    });
    Ok(stop)
}

/// Returns whether the process has a terminal. One that was closed is none any more.
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
