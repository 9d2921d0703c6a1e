//! Counts for monitoring, bounded by [`MAX_COUNTED`] however full the bar is.

use super::{
    Conn, Result, on,
    orders::stands,
    schema::{dead_letters, orders},
};
use crate::domain::{Timestamp, ids::DeadLetterId, order_state::Status};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

pub const MAX_COUNTED: i64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatusCount {
    pub orders: usize,
    /// Time at which the oldest of them was placed.
    pub oldest: Option<Timestamp>,
}

/// Counts the orders of a status up to the bound: the first ones on the board, or the oldest.
pub async fn status_count(conn: &mut Conn, status: Status) -> Result<StatusCount> {
    let there = orders::table.filter(stands(status)).select(orders::placed_at).limit(MAX_COUNTED);
    let placed: Vec<Timestamp> = match status {
        Status::Pending => on!(conn, c => there.order((orders::due_at, orders::id)).load(c))?,
        _ => on!(conn, c => there.order((orders::placed_at, orders::id)).load(c))?,
    };
    Ok(StatusCount { orders: placed.len(), oldest: placed.into_iter().min() })
}

pub async fn open_dead_letters(conn: &mut Conn) -> Result<usize> {
    let open: Vec<DeadLetterId> = on!(conn, c => dead_letters::table
        .filter(dead_letters::resolution.is_null())
        .order((dead_letters::created_at.desc(), dead_letters::id.desc()))
        .select(dead_letters::id)
        .limit(MAX_COUNTED)
        .load(c))?;
    Ok(open.len())
}
