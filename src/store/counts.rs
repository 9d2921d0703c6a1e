//! How much there is: for those who watch over the bar. Nothing is counted further than [`MAX_COUNTED`], however full the bar is.

use super::{
    Conn, Result, on,
    orders::stands,
    schema::{dead_letters, orders},
};
use crate::domain::{Timestamp, ids::DeadLetterId, order_state::Status};
use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;

/// As far as is counted.
pub const MAX_COUNTED: i64 = 10_000;

/// How many orders stand somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatusCount {
    /// How many.
    pub orders: usize,
    /// When the first of them was placed.
    pub oldest: Option<Timestamp>,
}

/// The orders that stand there, as far as is counted: those that come first on the board, or have been there the longest.
pub async fn status_count(conn: &mut Conn, status: Status) -> Result<StatusCount> {
    let there = orders::table.filter(stands(status)).select(orders::placed_at).limit(MAX_COUNTED);
    let placed: Vec<Timestamp> = match status {
        Status::Pending => on!(conn, c => there.order((orders::due_at, orders::id)).load(c))?,
        _ => on!(conn, c => there.order((orders::placed_at, orders::id)).load(c))?,
    };
    Ok(StatusCount { orders: placed.len(), oldest: placed.into_iter().min() })
}

/// How many dead letters wait for a decision.
pub async fn open_dead_letters(conn: &mut Conn) -> Result<usize> {
    let open: Vec<DeadLetterId> = on!(conn, c => dead_letters::table
        .filter(dead_letters::resolution.is_null())
        .order((dead_letters::created_at.desc(), dead_letters::id.desc()))
        .select(dead_letters::id)
        .limit(MAX_COUNTED)
        .load(c))?;
    Ok(open.len())
}
