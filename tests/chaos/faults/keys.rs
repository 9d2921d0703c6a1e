//! Idempotency keys that are used for two orders.

use crate::{Result, load::ANSWER_TIMEOUT, scene::Scene};
use reqwest::Client;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const KEY_INTERVAL: Duration = Duration::from_millis(50);

/// Places two orders under one key, at both `serve` at once.
pub async fn reused(scene: &mut Scene, hold: Duration) -> Result<()> {
    let http = Client::builder().timeout(ANSWER_TIMEOUT).build()?;
    let until = Instant::now() + hold;
    while Instant::now() < until {
        scene.load.rivals(&http, &mut scene.rng).await;
        sleep(KEY_INTERVAL).await;
    }
    Ok(())
}
