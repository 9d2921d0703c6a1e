use crate::{Result, scene::Scene};
use std::time::Duration;
use tokio::time::sleep;

/// Errors of the clock, one after the other.
const CLOCK_OFFSETS_SECONDS: [i32; 5] = [600, 0, -600, 600, 0];

pub async fn step(scene: &mut Scene, hold: Duration) -> Result<()> {
    let clock = scene.clock.as_ref().ok_or("there is no clock to set")?;
    for seconds in CLOCK_OFFSETS_SECONDS {
        clock.step(seconds)?;
        sleep(hold / 5).await;
    }
    Ok(())
}
