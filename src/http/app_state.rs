//! What handlers work with.

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

/// What handlers work with.
pub struct AppState {
    /// Who is who.
    pub accounts: Accounts,
    /// Takes orders.
    pub intake: Arc<Intake>,
    /// Works them.
    pub bar: Board,
    /// What there is to order.
    pub menu: Menu,
    /// What could not be stored.
    pub dead_letters: DeadLetters,
    /// Who changed what.
    pub trail: AuditTrail,
    /// Which parts are up.
    pub health: Health,
    /// What those are told who watch over it. None: they ask elsewhere.
    pub monitor: Option<SampledMetrics>,
}
