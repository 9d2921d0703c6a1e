//! What this process counts and measures, in Prometheus' text format. `docs/metrics.md` describes every metric.
//!
//! Metrics come in groups, one a concern, each declared in one place. A group exists from the first time that somebody touches it:
//! a role touches those that it has when it starts, so that everything is there at 0 before anything has happened.

mod groups;
mod kinds;

pub use groups::{
    Connections, KeptBy, Login, LookedUp, MovedTo, OnBoard, Part, Published, Purpose, Queue, Recorded,
    Redelivered, Refused, accounts, board, broker, database, http, intake, moves, process, recorder, waiting,
    worker,
};
pub use kinds::{By, Label, Open};

use prometheus::{Encoder, Registry, TextEncoder};
use std::sync::LazyLock;

/// Those of this process.
static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

/// The media type of [`text`].
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics as they are now.
pub fn text() -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to memory does not fail, and what is declared can be encoded: a test does it.
    if let Err(error) = TextEncoder::new().encode(&REGISTRY.gather(), &mut text) {
        tracing::error!(%error, "metrics could not be written");
    }
    text
}
