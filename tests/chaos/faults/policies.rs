//! Policies that make the broker remove confirmed messages.

use crate::{Result, scene::Scene};
use std::time::Duration;
use tokio::time::sleep;

pub async fn ttl(scene: &mut Scene, hold: Duration) -> Result<()> {
    without_workers(scene, hold, r#"{"message-ttl":500}"#).await
}

pub async fn expires(scene: &mut Scene, hold: Duration) -> Result<()> {
    without_workers(scene, hold, r#"{"expires":1000}"#).await
}

/// Sets a policy while the workers are stopped: they would receive the orders before the broker removes them.
async fn without_workers(scene: &mut Scene, hold: Duration, definition: &str) -> Result<()> {
    for work in &mut scene.works {
        scene.findings.extend(work.stop().await);
    }
    let pattern = format!("^{}\\.", scene.prefix);
    let set = ["set_policy", "--apply-to", "queues", "lossy", &pattern, definition];
    scene.servers.rabbitmq.control(&set).await?;
    sleep(hold).await;
    scene.servers.rabbitmq.control(&["clear_policy", "lossy"]).await?;
    for work in &mut scene.works {
        work.begin()?;
    }
    Ok(())
}
