//! Lists of orders with keyset pagination. No query reads more than it returns, or all that is on the board,
//! or a few thousand orders.

pub use crate::domain::filters::{OrderFilter, OrderPage, OrderPageKey};

use super::{OrderRow, stands, with_lines};
use crate::domain::{Timestamp, ids::OrderId, order_state::Status, priority, text::Table};
use crate::store::{
    Conn, Result, narrow, narrow_to, on,
    query_macros::Besides,
    schema::{order_lines, orders},
};
use diesel::{
    dsl::exists,
    prelude::*,
    sql_types::{Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl;
use std::cmp::Reverse;

/// Maximum of orders examined for a drink before a page ends, even if few match: orders have no index by
/// drink, because it would slow down every insert.
const MAX_EXAMINED_ORDERS: i64 = 5_000;

/// Range of `placed_at`.
#[derive(Clone, Copy)]
struct Span {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    after: Option<OrderPageKey>,
}

impl Span {
    /// Only one upper bound: SQLite uses one per index scan.
    fn new(filter: &OrderFilter, after: Option<OrderPageKey>) -> Self {
        let (from, until) = (filter.placed_from, filter.placed_until);
        match (until, after) {
            (Some(until), Some(after)) if until <= after.at => Self { from, until: Some(until), after: None },
            (_, Some(_)) => Self { from, until: None, after },
            (_, None) => Self { from, until, after },
        }
    }

    fn since(self, from: Option<Timestamp>) -> Self {
        Self { from: self.from.max(from), ..self }
    }
}

/// Condition for which neither database considers an index.
macro_rules! besides {
    ($condition:expr) => {
        Besides::new($condition, true.into_sql::<Bool>())
    };
}

/// Condition that an order has one of these drinks, checked per order: PostgreSQL would first gather all
/// orders that ever had it (the OFFSET prevents that).
macro_rules! has_drink {
    ($drinks:expr) => {
        exists(
            order_lines::table
                .filter(order_lines::order_id.eq(orders::id).and(order_lines::recipe_id.eq_any($drinks)))
                .select(order_lines::position)
                .limit(1)
                .offset(0),
        )
    };
}

/// One of the lists that a page is merged from, because no index covers several statuses or tables.
#[derive(Clone)]
struct Part {
    /// The table, in one of its stored spellings.
    table: Option<Table>,
    status: Option<Status>,
    span: Span,
}

/// Narrows a query to the orders of a filter in one part, newest first.
macro_rules! newest_of {
    ($query:expr, $filter:expr, $part:expr) => {{
        let (filter, part): (&OrderFilter, &Part) = ($filter, $part);
        let span = part.span;
        let mut query = $query.into_boxed();
        narrow!(query, Some(customer) = filter.customer => orders::customer_id.eq(customer));
        if let Some(table) = &part.table {
            narrow_to!(query, orders::table_name, table, Nullable<Text>, led: filter.customer.is_some());
        }
        if let Some(status) = part.status {
            // Few orders are live, but very many have ended.
            query = if status.has_ended() && (filter.customer.is_some() || filter.table.is_some()) {
                query.filter(Besides::new(orders::status, status.into_sql::<Text>()))
            } else {
                query.filter(stands(status))
            };
        }
        narrow!(query,
            Some(from) = span.from => orders::placed_at.ge(from),
            Some(until) = span.until => orders::placed_at.lt(until),
            // `le` is implied by the rest, but the index can only start at it.
            Some(OrderPageKey { at, id }) = span.after =>
                orders::placed_at.le(at).and(orders::placed_at.lt(at).or(orders::id.lt(id))),
        );
        query.order((orders::placed_at.desc(), orders::id.desc()))
    }};
}

/// Loads a page of orders, newest first, after the position `after`.
pub async fn newest(
    conn: &mut Conn,
    filter: &OrderFilter,
    after: Option<OrderPageKey>,
    limit: i64,
) -> Result<OrderPage> {
    if names_no_drink(filter) {
        return Ok(OrderPage::default());
    }
    let mut parts = parts(conn, filter, Span::new(filter, after)).await?;
    let mut searched = None;
    if filter.drinks.is_some() {
        for part in &parts {
            searched = searched.max(examined_until(conn, filter, part).await?);
        }
    }
    let several = parts.len() > 1;
    let mut rows = Vec::new();
    for part in &mut parts {
        part.span = part.span.since(searched);
        rows.extend(load(conn, filter, part, limit).await?);
    }
    if several {
        rows.sort_by_key(|row| Reverse((row.placed_at, row.id)));
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    let is_full = i64::try_from(rows.len()).is_ok_and(|found| found >= limit);
    // All orders of that time were examined.
    let place = |at| OrderPageKey { at, id: OrderId(uuid::Uuid::nil()) };
    Ok(OrderPage {
        orders: with_lines(conn, rows).await?,
        searched: searched.filter(|_| !is_full).map(place),
    })
}

/// Returns whether the filter asks for drinks none of which ever existed.
fn names_no_drink(filter: &OrderFilter) -> bool {
    filter.drinks.as_ref().is_some_and(Vec::is_empty)
}

async fn parts(conn: &mut Conn, filter: &OrderFilter, span: Span) -> Result<Vec<Part>> {
    let tables = match &filter.table {
        None => vec![None],
        Some(table) => table.stored_forms().into_iter().map(Some).collect(),
    };
    let mut parts = Vec::new();
    for status in states(filter) {
        let span = if status == Some(Status::Pending) {
            let Some(since) = earliest_waiting(conn).await? else { continue };
            span.since(Some(since))
        } else {
            span
        };
        parts.extend(tables.iter().map(|table| Part { table: table.clone(), status, span }));
    }
    Ok(parts)
}

fn states(filter: &OrderFilter) -> Vec<Option<Status>> {
    if filter.statuses.is_empty() {
        return vec![None];
    }
    filter.statuses.iter().copied().map(Some).collect()
}

async fn load(conn: &mut Conn, filter: &OrderFilter, part: &Part, limit: i64) -> Result<Vec<OrderRow>> {
    Ok(on!(conn, c => {
        let mut query = newest_of!(orders::table.select(OrderRow::as_select()), filter, part);
        narrow!(query, Some(drinks) = &filter.drinks => has_drink!(drinks));
        query.limit(limit).load(c)
    })?)
}

/// Returns when the last order was placed that is examined for a drink, if there are more after it.
async fn examined_until(conn: &mut Conn, filter: &OrderFilter, part: &Part) -> Result<Option<Timestamp>> {
    Ok(on!(conn, c => newest_of!(orders::table.select(orders::placed_at), filter, part)
        .offset(MAX_EXAMINED_ORDERS)
        .limit(1)
        .first(c))
    .optional()?)
}

/// Returns a time before which no waiting order was placed, or `None` if none waits. Bounds the search for a
/// customer's waiting orders.
pub(in crate::store) async fn earliest_waiting(conn: &mut Conn) -> Result<Option<Timestamp>> {
    let first_due: Option<Timestamp> = on!(conn, c => orders::table
        .filter(stands(Status::Pending))
        .order((orders::due_at, orders::id))
        .select(orders::due_at)
        .first(c))
    .optional()?;
    Ok(first_due.map(priority::placed_at_the_earliest))
}

/// Loads a page of the waiting orders in working order, after the position `after`. Reads the working order
/// for every filter: at most all waiting orders.
pub async fn waiting(
    conn: &mut Conn,
    filter: &OrderFilter,
    after: Option<OrderPageKey>,
    limit: i64,
) -> Result<OrderPage> {
    if names_no_drink(filter) {
        return Ok(OrderPage::default());
    }
    let rows = on!(conn, c => {
        let mut query = orders::table.select(OrderRow::as_select()).filter(stands(Status::Pending)).into_boxed();
        narrow!(query,
            Some(customer) = filter.customer => besides!(orders::customer_id.eq(customer)),
            Some(table) = &filter.table => besides!(orders::table_name.eq_any(table.stored_forms())),
            Some(from) = filter.placed_from => besides!(orders::placed_at.ge(from)),
            Some(until) = filter.placed_until => besides!(orders::placed_at.lt(until)),
            Some(drinks) = &filter.drinks => has_drink!(drinks),
            Some(OrderPageKey { at, id }) = after =>
                orders::due_at.ge(at).and(orders::due_at.gt(at).or(orders::id.gt(id))),
        );
        query.order((orders::due_at, orders::id)).limit(limit).load(c)
    })?;
    Ok(OrderPage { orders: with_lines(conn, rows).await?, searched: None })
}
