//! Open orders: pending or in progress.

pub mod cancellations;

use super::{
    Conn, Result, on,
    schema::{order_lines, orders},
};
use crate::domain::{
    Timestamp,
    ids::{OrderId, UserId},
};
use diesel::{
    dsl::{sql, sum},
    prelude::*,
    sql_types::Bool,
};
use diesel_async::RunQueryDsl;

#[derive(Debug, Clone, Copy)]
pub struct OpenOrder {
    pub id: OrderId,
    pub customer_id: UserId,
    pub drinks: u32,
}

/// Loads the open orders of these customers placed at or after `since`, `limit` at most.
pub async fn of_customers(
    conn: &mut Conn,
    customers: &[UserId],
    since: Timestamp,
    limit: i64,
) -> Result<Vec<OpenOrder>> {
    // Not as a list of bound values, so that only the index of the customers is considered.
    let is_open = sql::<Bool>("orders.status IN ('pending', 'in_progress')");
    // Per order: PostgreSQL might read all lines in the table to join them.
    let drinks = order_lines::table
        .filter(order_lines::order_id.eq(orders::id))
        .select(sum(order_lines::quantity))
        .single_value();
    let rows: Vec<(OrderId, UserId, Option<i64>)> = on!(conn, c => orders::table
        .filter(orders::customer_id.eq_any(customers))
        .filter(orders::placed_at.ge(since))
        .filter(is_open)
        .select((orders::id, orders::customer_id, drinks))
        .limit(limit)
        .load(c))?;
    let open = |(id, customer_id, drinks): (OrderId, UserId, Option<i64>)| OpenOrder {
        id,
        customer_id,
        drinks: u32::try_from(drinks.unwrap_or_default()).unwrap_or(u32::MAX),
    };
    Ok(rows.into_iter().map(open).collect())
}
