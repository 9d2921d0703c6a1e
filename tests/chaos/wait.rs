//! Waiting for what must come.

use crate::Result;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long something that must come may take. What takes longer is a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is there, and says how long that took; an error that names what did not come in time.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
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
    Err(format!("waited {} s in vain: {what}{why}", PATIENCE.as_secs()).into())
}
