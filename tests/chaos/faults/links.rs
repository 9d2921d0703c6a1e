//! Faults of the connections between the product and the servers.

use crate::{
    Result,
    proxy::{LinkState, Proxy},
    scene::{Links, Scene},
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub async fn one(scene: &mut Scene, hold: Duration, of: fn(&Links) -> &Proxy, line: LinkState) -> Result<()> {
    of(&scene.links).set(line);
    sleep(hold).await;
    of(&scene.links).set(LinkState::Open);
    Ok(())
}

pub async fn all(scene: &mut Scene, hold: Duration, line: LinkState) -> Result<()> {
    scene.set_all_links(line);
    sleep(hold).await;
    scene.set_all_links(LinkState::Open);
    Ok(())
}

/// Holds the answers back repeatedly, for longer than the product waits.
async fn answers_late(scene: &mut Scene, hold: Duration, of: fn(&Links) -> &Proxy) -> Result<()> {
    let end = Instant::now() + hold;
    while Instant::now() < end {
        of(&scene.links).set(LinkState::AnswersHeld);
        scene.pause(1050..1600).await;
        of(&scene.links).set(LinkState::Open);
        scene.pause(100..400).await;
    }
    Ok(())
}

pub async fn confirms_late(scene: &mut Scene, hold: Duration) -> Result<()> {
    answers_late(scene, hold, |links| &links.serve_broker).await
}

pub async fn database_late_without_broker(scene: &mut Scene, hold: Duration) -> Result<()> {
    scene.links.serve_broker.set(LinkState::Reset);
    answers_late(scene, hold, |links| &links.serve_database).await?;
    scene.links.serve_broker.set(LinkState::Open);
    Ok(())
}

pub async fn commit_cut_without_broker(scene: &mut Scene, hold: Duration) -> Result<()> {
    scene.links.serve_broker.set(LinkState::Reset);
    one(scene, hold, |links| &links.serve_database, LinkState::CutAtCommit).await?;
    scene.links.serve_broker.set(LinkState::Open);
    Ok(())
}
