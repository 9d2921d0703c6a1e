//! Reading orders.

use super::{
    Conn, Result, on,
    schema::{order_lines, orders},
};
use crate::domain::{
    Instant,
    ids::{OrderId, RecipeId, UserId},
    moves::Status,
    order::{Drink, Line, NewOrder, Order, Quantity},
    text::{Name, Note, Table},
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};
use diesel::{dsl::sql, expression::SqlLiteral, pg::Pg, sql_types::Bool, sqlite::Sqlite};
use diesel_async::RunQueryDsl;
use std::collections::HashMap;

#[derive(Queryable, Selectable)]
#[diesel(table_name = orders, check_for_backend(Pg, Sqlite))]
struct OrderRow {
    id: OrderId,
    customer_id: UserId,
    placed_by: UserId,
    table_name: Option<Table>,
    note: Option<Note>,
    status: Status,
    status_reason: Option<Note>,
    bartender_id: Option<UserId>,
    priority: i16,
    due_at: Instant,
    placed_at: Instant,
    recorded_at: Instant,
    updated_at: Instant,
    version: i32,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = order_lines, check_for_backend(Pg, Sqlite))]
struct LineRow {
    order_id: OrderId,
    recipe_id: RecipeId,
    recipe_name: Name,
    quantity: Quantity,
    note: Option<Note>,
}

impl OrderRow {
    fn with(self, lines: Vec<Line>) -> Order {
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

/// Which orders to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this customer's.
    pub customer: Option<UserId>,
    /// Only those that stand here.
    pub status: Option<Status>,
    /// Only those of this table.
    pub table: Option<Table>,
}

/// A place in a list: the sort key of the last order seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// `placed_at`, or in working order `due_at`.
    pub at: Instant,
    /// Which of those at the same time.
    pub id: OrderId,
}

/// One order.
pub async fn find(conn: &mut Conn, id: OrderId) -> Result<Option<Order>> {
    let row: Option<OrderRow> =
        on!(conn, c => orders::table.find(id).select(OrderRow::as_select()).first(c)).optional()?;
    Ok(with_lines(conn, row.into_iter().collect()).await?.pop())
}

/// A page of orders, newest first, behind `after`.
pub async fn newest(
    conn: &mut Conn,
    filter: &Filter,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Order>> {
    let rows = on!(conn, c => {
        let mut query = orders::table.select(OrderRow::as_select()).into_boxed();
        if let Some(customer) = filter.customer {
            query = query.filter(orders::customer_id.eq(customer));
        }
        if let Some(status) = filter.status {
            query = query.filter(orders::status.eq(status));
        }
        if let Some(table) = &filter.table {
            query = query.filter(orders::table_name.eq(table));
        }
        if let Some(Place { at, id }) = after {
            query = query.filter(orders::placed_at.lt(at).or(orders::placed_at.eq(at).and(orders::id.lt(id))));
        }
        query.order((orders::placed_at.desc(), orders::id.desc())).limit(limit).load(c)
    })?;
    with_lines(conn, rows).await
}

/// A page of the orders that wait, the next to be worked first, behind `after`.
pub async fn waiting(
    conn: &mut Conn,
    table: Option<&Table>,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Order>> {
    let rows = on!(conn, c => {
        let mut query = orders::table.select(OrderRow::as_select()).filter(pending()).into_boxed();
        if let Some(table) = table {
            query = query.filter(orders::table_name.eq(table));
        }
        if let Some(Place { at, id }) = after {
            query = query.filter(orders::due_at.gt(at).or(orders::due_at.eq(at).and(orders::id.gt(id))));
        }
        query.order((orders::due_at, orders::id)).limit(limit).load(c)
    })?;
    with_lines(conn, rows).await
}

/// Written out instead of bound: neither database uses a partial index for a value that it can't see while planning.
fn pending() -> SqlLiteral<Bool> {
    sql("orders.status = 'pending'")
}

/// The order that waits first, and that nobody else is claiming in this moment. PostgreSQL holds its row for this transaction;
/// SQLite has one writer at a time anyway.
pub async fn first_waiting(conn: &mut Conn) -> Result<Option<Order>> {
    let first = orders::table.filter(pending()).order((orders::due_at, orders::id)).limit(1);
    let row: Option<OrderRow> = match conn {
        Conn::Pg(conn) => {
            first.select(OrderRow::as_select()).for_update().skip_locked().first(&mut **conn).await
        }
        Conn::Sqlite(conn) => first.select(OrderRow::as_select()).first(&mut **conn).await,
    }
    .optional()?;
    Ok(with_lines(conn, row.into_iter().collect()).await?.pop())
}

/// Adds the lines of all orders in one query.
async fn with_lines(conn: &mut Conn, rows: Vec<OrderRow>) -> Result<Vec<Order>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<OrderId> = rows.iter().map(|row| row.id).collect();
    let found: Vec<LineRow> = on!(conn, c => order_lines::table
        .filter(order_lines::order_id.eq_any(ids))
        .order((order_lines::order_id, order_lines::position))
        .select(LineRow::as_select())
        .load(c))?;
    let mut lines: HashMap<OrderId, Vec<Line>> = HashMap::with_capacity(rows.len());
    for LineRow { order_id, recipe_id, recipe_name, quantity, note } in found {
        let line = Line { recipe: Drink { id: recipe_id, name: recipe_name }, quantity, note };
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
