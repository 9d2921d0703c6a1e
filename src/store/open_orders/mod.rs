//! Open orders of customers: those that somebody still has to work on.

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
    ExpressionMethods, QueryDsl,
    dsl::{sql, sum},
    sql_types::Bool,
};
use diesel_async::RunQueryDsl;

/// An order that is pending or in progress.
#[derive(Debug, Clone, Copy)]
pub struct OpenOrder {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub customer_id: UserId,
    /// How many drinks it has.
    pub drinks: u32,
}

/// The open orders of these customers that were placed then or later, `limit` at most.
pub async fn of_customers(
    conn: &mut Conn,
    customers: &[UserId],
    since: Timestamp,
    limit: i64,
) -> Result<Vec<OpenOrder>> {
    // Not as a list of values: of the indexes only the customers' shall be looked at.
    let is_open = sql::<Bool>("orders.status IN ('pending', 'in_progress')");
    // Order by order: PostgreSQL might read all lines there are to join them.
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
