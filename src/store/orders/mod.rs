//! Stored orders; this file is about single ones.

pub mod pages;
pub mod transitions;

use super::{
    Conn, Result, on, on_locked,
    schema::{order_lines, orders},
};
use crate::domain::{
    Timestamp,
    ids::{OrderId, RecipeId, UserId},
    order::{Drink, NewOrder, Order, OrderLine, Quantity},
    order_state::Status,
    text::{Name, Note, Table},
};
use diesel::{dsl::sql, expression::SqlLiteral, prelude::*, sql_types::Bool};
use diesel_async::RunQueryDsl;
use std::collections::HashMap;

#[derive(Queryable, Selectable)]
#[diesel(table_name = orders, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(super) struct OrderRow {
    pub(super) id: OrderId,
    customer_id: UserId,
    placed_by: UserId,
    table_name: Option<Table>,
    note: Option<Note>,
    status: Status,
    status_reason: Option<Note>,
    bartender_id: Option<UserId>,
    priority: i16,
    due_at: Timestamp,
    pub(super) placed_at: Timestamp,
    recorded_at: Timestamp,
    updated_at: Timestamp,
    version: i32,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = order_lines, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
struct LineRow {
    order_id: OrderId,
    recipe_id: RecipeId,
    recipe_name: Name,
    quantity: Quantity,
    note: Option<Note>,
}

impl OrderRow {
    fn with(self, lines: Vec<OrderLine>) -> Order {
        Order {
            placed: NewOrder {
                id: self.id,
                customer_id: self.customer_id,
                placed_by: self.placed_by,
                lines,
                table: self.table_name,
                note: self.note,
                priority: u8::try_from(self.priority).unwrap_or_default(),
                due_at: self.due_at,
                placed_at: self.placed_at,
            },
            status: self.status,
            status_reason: self.status_reason,
            bartender_id: self.bartender_id,
            recorded_at: self.recorded_at,
            updated_at: self.updated_at,
            version: self.version,
        }
    }
}

pub async fn find(conn: &mut Conn, id: OrderId) -> Result<Option<Order>> {
    let row: Option<OrderRow> =
        on!(conn, c => orders::table.find(id).select(OrderRow::as_select()).first(c)).optional()?;
    Ok(with_lines(conn, row.into_iter().collect()).await?.pop())
}

pub async fn find_all(conn: &mut Conn, ids: &[OrderId]) -> Result<Vec<Order>> {
    let rows: Vec<OrderRow> =
        on!(conn, c => orders::table.filter(orders::id.eq_any(ids)).select(OrderRow::as_select()).load(c))?;
    with_lines(conn, rows).await
}

/// Returns those ids that are stored.
pub async fn stored(conn: &mut Conn, ids: &[OrderId]) -> Result<Vec<OrderId>> {
    Ok(on!(conn, c => orders::table.filter(orders::id.eq_any(ids)).select(orders::id).load(c))?)
}

/// Condition on the status, as a literal instead of a bound value: neither database uses a partial index for
/// a value it can't see while planning. SQLite must also find the predicate of the index word by word.
pub(super) fn stands(status: Status) -> SqlLiteral<Bool> {
    let indexed = match status {
        Status::Pending | Status::Completed => "",
        _ => " AND orders.status NOT IN ('pending', 'completed')",
    };
    sql(&format!("orders.status = '{status}'{indexed}"))
}

/// Finds the next order in working order that nobody else is claiming. PostgreSQL locks its row until the
/// transaction ends; SQLite has one writer at a time.
pub async fn first_waiting(conn: &mut Conn) -> Result<Option<Order>> {
    let first = orders::table.filter(stands(Status::Pending)).order((orders::due_at, orders::id));
    let row: Option<OrderRow> =
        on_locked!(conn, first.select(OrderRow::as_select()), [for_update, skip_locked], first).optional()?;
    Ok(with_lines(conn, row.into_iter().collect()).await?.pop())
}

/// Loads the lines of all orders in one query.
pub(super) async fn with_lines(conn: &mut Conn, rows: Vec<OrderRow>) -> Result<Vec<Order>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<OrderId> = rows.iter().map(|row| row.id).collect();
    let found: Vec<LineRow> = on!(conn, c => order_lines::table
        .filter(order_lines::order_id.eq_any(ids))
        .order((order_lines::order_id, order_lines::position))
        .select(LineRow::as_select())
        .load(c))?;
    let mut lines: HashMap<OrderId, Vec<OrderLine>> = HashMap::with_capacity(rows.len());
    for LineRow { order_id, recipe_id, recipe_name, quantity, note } in found {
        let line = OrderLine { recipe: Drink { id: recipe_id, name: recipe_name }, quantity, note };
        lines.entry(order_id).or_default().push(line);
    }
    Ok(rows
        .into_iter()
        .map(|row| {
            let lines = lines.remove(&row.id).unwrap_or_default();
            row.with(lines)
        })
        .collect())
}
