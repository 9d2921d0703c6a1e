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
    working_order,
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};
use diesel::{
    dsl::sql,
    expression::SqlLiteral,
    pg::Pg,
    sql_types::{Bool, Nullable, Text},
    sqlite::Sqlite,
};
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

// Compares without an index, where that of another condition shall find the rows: PostgreSQL would combine both, and read all
// that a table ever ordered to show a page.
diesel::infix_operator!(Besides, " IS NOT DISTINCT FROM ", Bool);

/// A page of orders, newest first, behind `after`.
pub async fn newest(
    conn: &mut Conn,
    filter: &Filter,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Order>> {
    let mut since = None;
    if filter.status == Some(Status::Pending) {
        since = earliest_waiting(conn).await?;
        if since.is_none() {
            return Ok(Vec::new());
        }
    }
    let rows = on!(conn, c => {
        let mut query = orders::table.select(OrderRow::as_select()).into_boxed();
        if let Some(since) = since {
            query = query.filter(orders::placed_at.ge(since));
        }
        if let Some(customer) = filter.customer {
            query = query.filter(orders::customer_id.eq(customer));
        }
        if let Some(table) = &filter.table {
            query = if filter.customer.is_some() {
                query.filter(Besides::new(orders::table_name, table.into_sql::<Nullable<Text>>()))
            } else {
                query.filter(orders::table_name.eq(table))
            };
        }
        if let Some(status) = filter.status {
            // Few orders are live, but too many have ended.
            query = if status.has_ended() && (filter.customer.is_some() || filter.table.is_some()) {
                query.filter(Besides::new(orders::status, status.into_sql::<Text>()))
            } else {
                query.filter(stands(status))
            };
        }
        if let Some(Place { at, id }) = after {
            // The first part is in the second, but only from it can an index tell where to begin.
            query = query.filter(orders::placed_at.le(at).and(orders::placed_at.lt(at).or(orders::id.lt(id))));
        }
        query.order((orders::placed_at.desc(), orders::id.desc())).limit(limit).load(c)
    })?;
    with_lines(conn, rows).await
}

/// No order that waits was placed before this; none if none waits. So to find a customer's among them, those that they placed
/// earlier need not be read.
async fn earliest_waiting(conn: &mut Conn) -> Result<Option<Instant>> {
    let first_due: Option<Instant> = on!(conn, c => orders::table
        .filter(stands(Status::Pending))
        .order((orders::due_at, orders::id))
        .select(orders::due_at)
        .first(c))
    .optional()?;
    Ok(first_due.map(working_order::placed_at_the_earliest))
}

/// A page of the orders that wait, the next to be worked first, behind `after`.
pub async fn waiting(
    conn: &mut Conn,
    table: Option<&Table>,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Order>> {
    let rows = on!(conn, c => {
        let mut query = orders::table.select(OrderRow::as_select()).filter(stands(Status::Pending)).into_boxed();
        if let Some(table) = table {
            query = query.filter(Besides::new(orders::table_name, table.into_sql::<Nullable<Text>>()));
        }
        if let Some(Place { at, id }) = after {
            query = query.filter(orders::due_at.ge(at).and(orders::due_at.gt(at).or(orders::id.gt(id))));
        }
        query.order((orders::due_at, orders::id)).limit(limit).load(c)
    })?;
    with_lines(conn, rows).await
}

/// Written out instead of bound: neither database uses a partial index for a value that it can't see while planning. SQLite must
/// also find the index's condition word by word.
fn stands(status: Status) -> SqlLiteral<Bool> {
    let indexed = match status {
        Status::Pending | Status::Completed => "",
        _ => " AND orders.status NOT IN ('pending', 'completed')",
    };
    sql(&format!("orders.status = '{status}'{indexed}"))
}

/// The order that waits first, and that nobody else is claiming in this moment. PostgreSQL holds its row for this transaction;
/// SQLite has one writer at a time anyway.
pub async fn first_waiting(conn: &mut Conn) -> Result<Option<Order>> {
    let first = orders::table.filter(stands(Status::Pending)).order((orders::due_at, orders::id)).limit(1);
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
