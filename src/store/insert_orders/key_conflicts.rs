//! Orders that were not stored because an order of the same customer with other content has their id: the key
//! was reused.

use crate::{
    domain::{
        Timestamp,
        ids::{OrderId, UserId},
    },
    store::{Conn, Result, on, schema::orders_not_taken},
};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use std::collections::HashSet;

/// Maximum of entries per order, so that a client that sends a thousand contents under one key leaves no
/// more.
pub const MAX_ENTRIES: i32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyConflict {
    /// The id that it shares with a stored order.
    pub order_id: OrderId,
    pub fingerprint: [u8; 32],
    pub placed_by: UserId,
}

/// Adds entries: each content of an order once, and [`MAX_ENTRIES`] per order. Belongs in a transaction.
pub async fn note(conn: &mut Conn, mut entries: Vec<KeyConflict>, at: Timestamp) -> Result<()> {
    // Sorted, so that two transactions with the same entries wait for each other instead of deadlocking.
    entries.sort_unstable();
    entries.dedup();
    let ids: HashSet<OrderId> = entries.iter().map(|entry| entry.order_id).collect();
    let full = full(conn, ids.into_iter().collect()).await?;
    for entry in entries.iter().filter(|entry| !full.contains(&entry.order_id)) {
        add(conn, entry, at).await?;
    }
    Ok(())
}

/// Returns those orders that have all their entries.
async fn full(conn: &mut Conn, ids: Vec<OrderId>) -> Result<HashSet<OrderId>> {
    let full: Vec<OrderId> = on!(conn, c => orders_not_taken::table
        .filter(orders_not_taken::order_id.eq_any(ids).and(orders_not_taken::number.eq(MAX_ENTRIES)))
        .select(orders_not_taken::order_id)
        .load(c))?;
    Ok(full.into_iter().collect())
}

/// Adds an entry under the first free number, unless its content has one.
async fn add(conn: &mut Conn, entry: &KeyConflict, at: Timestamp) -> Result<()> {
    for number in 1..=MAX_ENTRIES {
        let row = (
            orders_not_taken::order_id.eq(entry.order_id),
            orders_not_taken::number.eq(number),
            orders_not_taken::fingerprint.eq(entry.fingerprint.to_vec()),
            orders_not_taken::placed_by.eq(entry.placed_by),
            orders_not_taken::noted_at.eq(at),
        );
        let added = on!(conn, c => diesel::insert_into(orders_not_taken::table).values(&row).on_conflict_do_nothing().execute(c))?;
        if added > 0 {
            break;
        }
    }
    Ok(())
}

/// Loads who placed the orders that were not stored under this id, and when that was noted.
pub async fn of(conn: &mut Conn, id: OrderId) -> Result<Vec<(UserId, Timestamp)>> {
    Ok(on!(conn, c => orders_not_taken::table
        .filter(orders_not_taken::order_id.eq(id))
        .order(orders_not_taken::number)
        .select((orders_not_taken::placed_by, orders_not_taken::noted_at))
        .load(c))?)
}
