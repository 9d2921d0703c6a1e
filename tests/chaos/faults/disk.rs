use crate::{Result, scene::Scene};
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub async fn full(scene: &mut Scene, hold: Duration) -> Result<()> {
    let disk = scene.disk.as_ref().ok_or("there is no small disk")?;
    let end = Instant::now() + hold;
    while Instant::now() < end {
        // Again and again: what PostgreSQL gives up is not to be of use to it.
        disk.fill()?;
        sleep(Duration::from_millis(100)).await;
    }
    disk.empty()?;
    let postgres = &mut scene.servers.data.postgres;
    // It ends when it can't write its log of changes; one that is about to is given a moment.
    for _ in 0..20 {
        if postgres.ended() {
            return postgres.start().await;
        }
        if postgres.client("postgres").await.is_ok() {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    postgres.kill().await?;
    postgres.start().await
}
