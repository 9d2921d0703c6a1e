//! Stopping on SIGTERM or SIGINT: the first asks, the second ends.

use crate::telemetry;
use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How a process ends when it is told twice to stop.
const IMPATIENT: i32 = 130;

/// A token that the first signal sets. The second signal ends the process at once. Must be called on a runtime.
pub fn on_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
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
