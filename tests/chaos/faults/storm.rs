//! Everything at once.

use crate::{Result, proxy::Line, scene::Scene};
use rand::RngExt;
use std::time::Duration;
use tokio::time::Instant;

/// States of a connection. Half of them are open, so that something gets through.
const LINES: [Line; 10] = [
    Line::Open,
    Line::Open,
    Line::Open,
    Line::Open,
    Line::Open,
    Line::Late(50, 300),
    Line::Silent,
    Line::AnswersHeld,
    Line::Reset,
    Line::CutAtCommit,
];

/// Each blow is for some line or process, while those before it go on.
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
                let line = LINES[scene.rng.random_range(0..LINES.len())];
                let which: usize = scene.rng.random_range(0..4);
                scene.links.all()[which].set(line);
            }
        }
        scene.pause(50..400).await;
    }
    scene.set_all_links(Line::Open);
    Ok(())
}
