//! Waiting for conditions and signals.

use super::Result;
use std::{os::unix::process::parent_id, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

/// Limit on waiting for something that must happen.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// Polls until there is an answer, or fails with the name of the condition.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    let mut last = None;
    while Instant::now() < deadline {
        match ask().await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => {}
            Err(error) => last = Some(error),
        }
        sleep(Duration::from_millis(25)).await;
    }
    let why = last.map(|error| format!(" ({error})")).unwrap_or_default();
    Err(format!("timeout after {} s: {what}{why}", WAIT_TIMEOUT.as_secs()).into())
}

/// Waits for a signal, or the end of the parent process.
pub async fn interrupted() {
    let parent = parent_id();
    let orphaned = async {
        while parent_id() == parent {
            sleep(Duration::from_millis(500)).await;
        }
    };
    let told = async |kind| match signal(kind) {
        Ok(mut signals) => drop(signals.recv().await),
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = orphaned => {}
        () = told(SignalKind::interrupt()) => {}
        () = told(SignalKind::terminate()) => {}
        () = told(SignalKind::hangup()) => {}
    }
}
