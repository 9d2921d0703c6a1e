//! Metrics of this process, in Prometheus' text format. `docs/metrics.md` describes every one of them.
//!
//! They are declared in groups, one for each concern. A group exists from its first use: a role uses each of its groups when it
//! starts, so that their series exist, at 0, before anything has happened.

mod families;
mod groups;

pub use families::{ByLabel, MetricLabel, Open};
pub use groups::{
    accounts, board, broker, database, feed, http, intake, observe_request, process, recorder, transitions,
    waiting, worker,
};

use prometheus::{Encoder, Registry, TextEncoder};
use std::sync::LazyLock;

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

/// The media type of [`text`].
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics with their present values.
pub fn text() -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to memory does not fail, and a test encodes all metrics.
    if let Err(error) = TextEncoder::new().encode(&REGISTRY.gather(), &mut text) {
        tracing::error!(%error, "failed to encode metrics");
    }
    text
}
