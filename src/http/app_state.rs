//! The use cases that handlers call.

use crate::services::{
    accounts::Accounts,
    audit::AuditTrail,
    boards::Boards,
    dead_letters::DeadLetters,
    feed::Feed,
    health::Health,
    menu::Menu,
    orders::{board::Board, intake::Intake},
    sampled_metrics::SampledMetrics,
};
use std::sync::Arc;

pub struct AppState {
    pub accounts: Accounts,
    pub intake: Arc<Intake>,
    pub board: Board,
    pub menu: Menu,
    pub feed: Feed,
    pub boards: Boards,
    /// Limit on streams of changes.
    pub max_streams: usize,
    pub dead_letters: DeadLetters,
    pub trail: AuditTrail,
    pub health: Health,
    /// None where another server shows the metrics.
    pub monitor: Option<SampledMetrics>,
}
