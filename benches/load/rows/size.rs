//! Measures the size of the executable.

use super::{Bench, Goal, Measurement};
use crate::{figures::Figure, harness::Result};

pub async fn run(_: Bench<'_>) -> Result<Vec<Measurement>> {
    #[allow(clippy::cast_precision_loss)]
    let size = tokio::fs::metadata(env!("CARGO_BIN_EXE_shakerqueue")).await?.len() as f64 / 1e6;
    Ok(vec![Measurement::value("release binary", Figure::single("MB", size), Goal::AtMost(25.0))])
}
