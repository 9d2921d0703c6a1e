use crate::{Result, proxy::LinkState, scene::Scene};
use rand::RngExt;
use std::time::Duration;
use tokio::time::Instant;

/// States of a connection to choose from at random. Half of them are open, so that some requests succeed.
const LINK_STATES: [LinkState; 10] = [
    LinkState::Open,
    LinkState::Open,
    LinkState::Open,
    LinkState::Open,
    LinkState::Open,
    LinkState::Late(50, 300),
    LinkState::Silent,
    LinkState::AnswersHeld,
    LinkState::Reset,
    LinkState::CutAtCommit,
];

/// Disturbs a random connection or process, while earlier disturbances go on.
pub async fn everything(scene: &mut Scene, hold: Duration) -> Result<()> {
    let end = Instant::now() + hold;
    while Instant::now() < end {
        let which: usize = scene.rng.random_range(0..2);
        match scene.rng.random_range(0..12) {
            0 => {
                let finding = scene.serves[which].kill().await?;
                scene.serves[which].begin()?;
                scene.findings.extend(finding);
            }
            1 => {
                let finding = scene.works[which].kill().await?;
                scene.works[which].begin()?;
                scene.findings.extend(finding);
            }
            2 => {
                scene.servers.data.postgres.kill().await?;
                scene.servers.data.postgres.start().await?;
            }
            _ => {
                let line = LINK_STATES[scene.rng.random_range(0..LINK_STATES.len())];
                let which: usize = scene.rng.random_range(0..4);
                scene.links.all()[which].set(line);
            }
        }
        scene.pause(50..400).await;
    }
    scene.set_all_links(LinkState::Open);
    Ok(())
}
