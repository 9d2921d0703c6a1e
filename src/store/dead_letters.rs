//! Accepted messages that can never be stored as orders, kept as they came.

use super::{Conn, Result, on, schema::dead_letters};
use crate::domain::{Instant, ids::OrderId, now};
use diesel::{ExpressionMethods, Insertable, QueryDsl, dsl::exists, select};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

/// A message that could not become an order.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = dead_letters, treat_none_as_default_value = false)]
pub struct DeadLetter {
    id: OrderId,
    order_id: Option<OrderId>,
    reason: String,
    payload: Vec<u8>,
    created_at: Instant,
}

impl DeadLetter {
    /// Its id follows from the message, so that a message that comes again leaves one letter.
    pub fn new(order_id: Option<OrderId>, reason: String, payload: Vec<u8>) -> Self {
        let space = order_id.map_or(Uuid::NAMESPACE_OID, |id| id.0);
        Self { id: OrderId(Uuid::new_v5(&space, &payload)), order_id, reason, payload, created_at: now() }
    }
}

/// Keeps a letter, unless it is there already.
pub async fn keep(conn: &mut Conn, letter: &DeadLetter) -> Result<()> {
    on!(conn, c => diesel::insert_into(dead_letters::table).values(letter).on_conflict_do_nothing().execute(c))?;
    Ok(())
}

/// Whether an order became a dead letter.
pub async fn has(conn: &mut Conn, order: OrderId) -> Result<bool> {
    Ok(
        on!(conn, c => select(exists(dead_letters::table.filter(dead_letters::order_id.eq(order)))).get_result(c))?,
    )
}
