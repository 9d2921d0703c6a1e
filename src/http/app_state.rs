//! The use cases that handlers call.

use crate::services::{
    accounts::Accounts,
    audit::AuditTrail,
    dead_letters::DeadLetters,
    health::Health,
    menu::Menu,
    orders::{board::Board, intake::Intake},
    sampled_metrics::SampledMetrics,
};
use std::sync::Arc;

pub struct AppState {
    pub accounts: Accounts,
    pub intake: Arc<Intake>,
    pub bar: Board,
    pub menu: Menu,
    pub dead_letters: DeadLetters,
    pub trail: AuditTrail,
    pub health: Health,
    /// None where another server shows the metrics.
    pub monitor: Option<SampledMetrics>,
}
