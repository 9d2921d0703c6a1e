//! Faults of `RabbitMQ`.

use crate::{Result, scene::Scene};
use std::time::Duration;
use tokio::time::sleep;

pub async fn killed(scene: &mut Scene, hold: Duration) -> Result<()> {
    scene.servers.rabbitmq.kill().await?;
    sleep(hold).await;
    scene.servers.rabbitmq.start().await
}

pub async fn both_killed(scene: &mut Scene, hold: Duration) -> Result<()> {
    scene.servers.rabbitmq.kill().await?;
    scene.pause(0..500).await;
    scene.servers.data.postgres.kill().await?;
    sleep(hold).await;
    scene.servers.data.postgres.start().await?;
    scene.servers.rabbitmq.start().await
}

pub async fn stopped(scene: &mut Scene, hold: Duration) -> Result<()> {
    scene.servers.rabbitmq.stop().await?;
    sleep(hold).await;
    scene.servers.rabbitmq.start().await
}

pub async fn frozen(scene: &mut Scene, hold: Duration) -> Result<()> {
    scene.servers.rabbitmq.server()?.signal("STOP");
    sleep(hold).await;
    scene.servers.rabbitmq.server()?.signal("CONT");
    Ok(())
}

pub async fn memory_alarm(scene: &mut Scene, hold: Duration) -> Result<()> {
    scene.servers.rabbitmq.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]).await?;
    sleep(hold).await;
    scene.servers.rabbitmq.control(&["set_vm_memory_high_watermark", "0.4"]).await
}
