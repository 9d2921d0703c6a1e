//! Lists of orders, by keyset: none reads more than it shows, or than what is on the board, or than some thousand orders.

use super::{
    Conn, Result, on,
    orders::{OrderRow, stands, with_lines},
    schema::{order_lines, orders},
};
use crate::domain::{
    Timestamp,
    ids::{OrderId, RecipeId, UserId},
    order::Order,
    order_state::Status,
    priority,
    text::Table,
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, OptionalExtension, QueryDsl, SelectableHelper,
    dsl::exists,
    sql_types::{Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl;
use std::cmp::Reverse;

/// How many orders are looked at for a drink before a page ends, however few have it: no index finds orders by their drinks, for it would
/// cost every order that is stored.
const MAX_EXAMINED_ORDERS: i64 = 5_000;

/// Which orders to list: all conditions together.
#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    /// Only this customer's.
    pub customer: Option<UserId>,
    /// Only those that stand at one of these. None: wherever they stand.
    pub statuses: Vec<Status>,
    /// Only those of this table.
    pub table: Option<Table>,
    /// Only those with one of these drinks.
    pub drinks: Option<Vec<RecipeId>>,
    /// Only those placed then or later.
    pub placed_from: Option<Timestamp>,
    /// Only those placed before.
    pub placed_until: Option<Timestamp>,
}

/// A place in a list: the sort key of the last order seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderPageKey {
    /// `placed_at`, or in working order `due_at`.
    pub at: Timestamp,
    /// Which of those at the same time.
    pub id: OrderId,
}

/// Some orders of a list.
#[derive(Debug, Default)]
pub struct OrderPage {
    /// The orders.
    pub orders: Vec<Order>,
    /// Where the search ended, if it did so before it had found as many as were asked for and before the list's end.
    pub searched: Option<OrderPageKey>,
}

/// When the orders to read were placed.
#[derive(Clone, Copy)]
struct Span {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    after: Option<OrderPageKey>,
}

impl Span {
    /// With one upper end: SQLite begins an index at one only.
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

// Compares without an index, where that of another condition shall find the rows: PostgreSQL would combine both, and read all
// that a table ever ordered to show a page.
diesel::infix_operator!(Besides, " IS NOT DISTINCT FROM ", Bool);

/// A condition for which no index is looked at, in either database.
macro_rules! besides {
    ($condition:expr) => {
        Besides::new($condition, true.into_sql::<Bool>())
    };
}

/// Whether an order has one of these drinks, asked order by order: PostgreSQL would gather all orders that ever had it (and does not where it
/// finds an OFFSET).
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

/// One of the lists that a page of orders is put together from: none of the indexes knows several states or tables.
#[derive(Clone)]
struct Part {
    /// The table, in one form in which it may be stored.
    table: Option<Table>,
    status: Option<Status>,
    span: Span,
}

/// Narrows a query to the orders of a filter that are in one part, newest first.
macro_rules! newest_of {
    ($query:expr, $filter:expr, $part:expr) => {{
        let (filter, part): (&OrderFilter, &Part) = ($filter, $part);
        let span = part.span;
        let mut query = $query.into_boxed();
        if let Some(customer) = filter.customer {
            query = query.filter(orders::customer_id.eq(customer));
        }
        if let Some(table) = &part.table {
            query = if filter.customer.is_some() {
                query.filter(Besides::new(orders::table_name, table.into_sql::<Nullable<Text>>()))
            } else {
                query.filter(orders::table_name.eq(table))
            };
        }
        if let Some(status) = part.status {
            // Few orders are live, but too many have ended.
            query = if status.has_ended() && (filter.customer.is_some() || filter.table.is_some()) {
                query.filter(Besides::new(orders::status, status.into_sql::<Text>()))
            } else {
                query.filter(stands(status))
            };
        }
        if let Some(from) = span.from {
            query = query.filter(orders::placed_at.ge(from));
        }
        if let Some(until) = span.until {
            query = query.filter(orders::placed_at.lt(until));
        }
        if let Some(OrderPageKey { at, id }) = span.after {
            // The first part is in the second, but only from it can an index tell where to begin.
            query =
                query.filter(orders::placed_at.le(at).and(orders::placed_at.lt(at).or(orders::id.lt(id))));
        }
        query.order((orders::placed_at.desc(), orders::id.desc()))
    }};
}

/// A page of orders, newest first, behind `after`.
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
            searched = searched.max(far(conn, filter, part).await?);
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
    // All of that moment have been looked at.
    let place = |at| OrderPageKey { at, id: OrderId(uuid::Uuid::nil()) };
    Ok(OrderPage {
        orders: with_lines(conn, rows).await?,
        searched: searched.filter(|_| !is_full).map(place),
    })
}

/// Whether a drink is asked for that there never was.
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
        if let Some(drinks) = &filter.drinks {
            query = query.filter(has_drink!(drinks));
        }
        query.limit(limit).load(c)
    })?)
}

/// When the last order was placed that is looked at for a drink, if there are more behind it.
async fn far(conn: &mut Conn, filter: &OrderFilter, part: &Part) -> Result<Option<Timestamp>> {
    Ok(on!(conn, c => newest_of!(orders::table.select(orders::placed_at), filter, part)
        .offset(MAX_EXAMINED_ORDERS)
        .limit(1)
        .first(c))
    .optional()?)
}

/// No order that waits was placed before this; none if none waits. So to find a customer's among them, those that they placed
/// earlier need not be read.
pub(super) async fn earliest_waiting(conn: &mut Conn) -> Result<Option<Timestamp>> {
    let first_due: Option<Timestamp> = on!(conn, c => orders::table
        .filter(stands(Status::Pending))
        .order((orders::due_at, orders::id))
        .select(orders::due_at)
        .first(c))
    .optional()?;
    Ok(first_due.map(priority::placed_at_the_earliest))
}

/// A page of the orders that wait, the next to be worked first, behind `after`. Whatever else the filter says, it is read from the
/// working order: all that waits at most.
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
        if let Some(customer) = filter.customer {
            query = query.filter(besides!(orders::customer_id.eq(customer)));
        }
        if let Some(table) = &filter.table {
            query = query.filter(besides!(orders::table_name.eq_any(table.stored_forms())));
        }
        if let Some(from) = filter.placed_from {
            query = query.filter(besides!(orders::placed_at.ge(from)));
        }
        if let Some(until) = filter.placed_until {
            query = query.filter(besides!(orders::placed_at.lt(until)));
        }
        if let Some(drinks) = &filter.drinks {
            query = query.filter(has_drink!(drinks));
        }
        if let Some(OrderPageKey { at, id }) = after {
            query = query.filter(orders::due_at.ge(at).and(orders::due_at.gt(at).or(orders::id.gt(id))));
        }
        query.order((orders::due_at, orders::id)).limit(limit).load(c)
    })?;
    Ok(OrderPage { orders: with_lines(conn, rows).await?, searched: None })
}
