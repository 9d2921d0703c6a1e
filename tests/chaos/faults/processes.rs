//! Faults of the product's own processes.

use crate::{Result, harness::roles::Role, scene::Scene};
use rand::RngExt;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Pause between two restarts, so short that some hit a process that is still starting.
const RESTART_PAUSE_MS: std::ops::Range<u64> = 100..900;

pub async fn nothing(_scene: &mut Scene, hold: Duration) -> Result<()> {
    sleep(hold).await;
    Ok(())
}

async fn kill_again_and_again(
    scene: &mut Scene,
    hold: Duration,
    roles: fn(&mut Scene) -> &mut [Role; 2],
) -> Result<()> {
    let end = Instant::now() + hold;
    while Instant::now() < end {
        let which: usize = scene.rng.random_range(0..2);
        let role = &mut roles(scene)[which];
        let finding = role.kill().await?;
        role.begin()?;
        scene.findings.extend(finding);
        scene.pause(RESTART_PAUSE_MS).await;
    }
    Ok(())
}

pub async fn worker_killed(scene: &mut Scene, hold: Duration) -> Result<()> {
    kill_again_and_again(scene, hold, |scene| &mut scene.works).await
}

pub async fn api_killed(scene: &mut Scene, hold: Duration) -> Result<()> {
    kill_again_and_again(scene, hold, |scene| &mut scene.serves).await
}

pub async fn all_workers_killed(scene: &mut Scene, hold: Duration) -> Result<()> {
    for work in &mut scene.works {
        scene.findings.extend(work.kill().await?);
    }
    sleep(hold).await;
    for work in &mut scene.works {
        work.begin()?;
    }
    Ok(())
}

pub async fn worker_frozen(scene: &mut Scene, hold: Duration) -> Result<()> {
    let which: usize = scene.rng.random_range(0..2);
    scene.works[which].signal("STOP");
    sleep(hold).await;
    scene.works[which].signal("CONT");
    Ok(())
}

/// Stops one process cleanly, and starts it again.
async fn restart(scene: &mut Scene, which: usize, roles: fn(&mut Scene) -> &mut [Role; 2]) -> Result<()> {
    let role = &mut roles(scene)[which];
    let finding = role.stop().await;
    role.begin()?;
    role.ready().await?;
    scene.findings.extend(finding);
    Ok(())
}

async fn stop_again_and_again(
    scene: &mut Scene,
    hold: Duration,
    roles: fn(&mut Scene) -> &mut [Role; 2],
) -> Result<()> {
    let end = Instant::now() + hold;
    while Instant::now() < end {
        let which = scene.rng.random_range(0..2);
        restart(scene, which, roles).await?;
        scene.pause(RESTART_PAUSE_MS).await;
    }
    Ok(())
}

pub async fn worker_stopped(scene: &mut Scene, hold: Duration) -> Result<()> {
    stop_again_and_again(scene, hold, |scene| &mut scene.works).await
}

pub async fn api_stopped(scene: &mut Scene, hold: Duration) -> Result<()> {
    stop_again_and_again(scene, hold, |scene| &mut scene.serves).await
}

/// Restarts each process in turn, as an operator installs a new version.
pub async fn rolling_restart(scene: &mut Scene, _hold: Duration) -> Result<()> {
    for which in 0..2 {
        restart(scene, which, |scene| &mut scene.works).await?;
    }
    for which in 0..2 {
        restart(scene, which, |scene| &mut scene.serves).await?;
    }
    Ok(())
}
