//! Accepted messages that could not be recorded as orders, stored as they were received.

pub use crate::domain::filters::DeadLetterFilter;

use super::{Conn, Result, insert_orders, narrow, on, on_locked, orders::stored, schema::dead_letters};
use crate::domain::{
    Timestamp,
    dead_letter::{DeadLetter, Resolution},
    ids::{DeadLetterId, OrderId, UserId},
    order::NewOrder,
};
use diesel::{
    dsl::{exists, select},
    prelude::*,
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

#[derive(Queryable, Selectable)]
#[diesel(table_name = dead_letters, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
struct Row {
    id: DeadLetterId,
    order_id: Option<OrderId>,
    reason: String,
    attempts: i32,
    first_failed_at: Option<Timestamp>,
    created_at: Timestamp,
    resolution: Option<Resolution>,
    resolved_at: Option<Timestamp>,
    resolved_by: Option<UserId>,
}

impl From<Row> for DeadLetter {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            order_id: row.order_id,
            reason: row.reason,
            attempts: u32::try_from(row.attempts).unwrap_or_default(),
            first_failed_at: row.first_failed_at.unwrap_or(row.created_at),
            created_at: row.created_at,
            resolution: row.resolution.zip(row.resolved_at).map(|(what, at)| (what, at, row.resolved_by)),
        }
    }
}

/// Derives the id of the dead letter for this message.
pub fn id_of(order: Option<OrderId>, payload: &[u8]) -> DeadLetterId {
    DeadLetterId(Uuid::new_v5(&order.map_or(Uuid::NAMESPACE_OID, |id| id.0), payload))
}

/// Adds the dead letter of this order, if its message can be decoded, and returns true if it is new and open.
/// It is added as resolved if its order is stored by now, and as open if another order has its id.
///
/// Belongs in a transaction. Add several in the order of their order ids, as orders are stored, to avoid
/// deadlocks.
pub async fn keep_unless_stored(
    conn: &mut Conn,
    letter: &DeadLetter,
    payload: &[u8],
    order: Option<&NewOrder>,
) -> Result<bool> {
    let mut letter = letter.clone();
    if let Some(id) = letter.order_id {
        insert_orders::reserve(conn, id, letter.created_at).await?;
        let is_stored = match order {
            Some(order) => insert_orders::contents(conn, &[order])
                .await?
                .get(&id)
                .is_some_and(|stored| stored.is_of(order)),
            None => !stored(conn, &[id]).await?.is_empty(),
        };
        if is_stored {
            letter.resolution = Some((Resolution::Replayed, letter.created_at, None));
        }
    }
    Ok(keep(conn, &letter, payload).await? && letter.resolution.is_none())
}

/// Adds a dead letter with its message, unless it exists. Returns whether it was added.
pub async fn keep(conn: &mut Conn, letter: &DeadLetter, payload: &[u8]) -> Result<bool> {
    let (resolution, resolved_at) = letter.resolution.map(|(what, at, _)| (what, at)).unzip();
    let row = (
        dead_letters::id.eq(letter.id),
        dead_letters::order_id.eq(letter.order_id),
        dead_letters::reason.eq(&letter.reason),
        dead_letters::payload.eq(payload),
        dead_letters::attempts.eq(i32::try_from(letter.attempts).unwrap_or(i32::MAX)),
        dead_letters::first_failed_at.eq(letter.first_failed_at),
        dead_letters::created_at.eq(letter.created_at),
        dead_letters::resolution.eq(resolution),
        dead_letters::resolved_at.eq(resolved_at),
        dead_letters::resolved_by.eq(letter.resolution.and_then(|(.., by)| by)),
    );
    let kept = on!(conn, c => diesel::insert_into(dead_letters::table).values(&row).on_conflict_do_nothing().execute(c))?;
    Ok(kept > 0)
}

/// Returns whether the order became a dead letter.
pub async fn has(conn: &mut Conn, order: OrderId) -> Result<bool> {
    Ok(
        on!(conn, c => select(exists(dead_letters::table.filter(dead_letters::order_id.eq(order)))).get_result(c))?,
    )
}

/// Returns those of these orders that became dead letters.
pub async fn of(conn: &mut Conn, ids: &[OrderId]) -> Result<Vec<OrderId>> {
    let found: Vec<Option<OrderId>> = on!(conn, c => dead_letters::table
        .filter(dead_letters::order_id.eq_any(ids))
        .select(dead_letters::order_id)
        .load(c))?;
    Ok(found.into_iter().flatten().collect())
}

/// Returns whether any dead letter is undecided, in constant time.
pub async fn any_open(conn: &mut Conn) -> Result<bool> {
    Ok(
        on!(conn, c => select(exists(dead_letters::table.filter(dead_letters::resolution.is_null()))).get_result(c))?,
    )
}

/// Locks open dead letters of these orders, `limit` at most, until the transaction ends.
pub async fn lock_open_of(conn: &mut Conn, ids: &[OrderId], limit: i64) -> Result<Vec<DeadLetterId>> {
    let open = dead_letters::table
        .filter(dead_letters::order_id.eq_any(ids).and(dead_letters::resolution.is_null()))
        .order(dead_letters::id)
        .select(dead_letters::id)
        .limit(limit);
    Ok(on_locked!(conn, open, [for_update], load)?)
}

/// Finds a dead letter and its message.
pub async fn find(conn: &mut Conn, id: DeadLetterId) -> Result<Option<(DeadLetter, Vec<u8>)>> {
    let found: Option<(Row, Vec<u8>)> = on!(conn, c => dead_letters::table
        .find(id)
        .select((Row::as_select(), dead_letters::payload))
        .first(c))
    .optional()?;
    Ok(found.map(|(row, payload)| (row.into(), payload)))
}

/// Finds a dead letter and its message, and locks it until the transaction ends.
pub async fn lock(conn: &mut Conn, id: DeadLetterId) -> Result<Option<(DeadLetter, Vec<u8>)>> {
    let letter = dead_letters::table.find(id);
    let found: Option<(Row, Vec<u8>)> =
        on_locked!(conn, letter.select((Row::as_select(), dead_letters::payload)), [for_update], first)
            .optional()?;
    Ok(found.map(|(row, payload)| (row.into(), payload)))
}

/// Loads a page of dead letters, newest first, after the position `after`.
pub async fn page(
    conn: &mut Conn,
    filter: DeadLetterFilter,
    after: Option<(Timestamp, DeadLetterId)>,
    limit: i64,
) -> Result<Vec<DeadLetter>> {
    let rows: Vec<Row> = on!(conn, c => {
        let mut query = dead_letters::table.select(Row::as_select()).into_boxed();
        narrow!(query,
            DeadLetterFilter::Open = filter => dead_letters::resolution.is_null(),
            DeadLetterFilter::Resolved(resolution) = filter => dead_letters::resolution.eq(resolution),
            Some((at, id)) = after =>
                dead_letters::created_at.le(at).and(dead_letters::created_at.lt(at).or(dead_letters::id.lt(id))),
        );
        query.order((dead_letters::created_at.desc(), dead_letters::id.desc())).limit(limit).load(c)
    })?;
    Ok(rows.into_iter().map(DeadLetter::from).collect())
}

/// Stores the resolution of a dead letter.
pub async fn resolve(
    conn: &mut Conn,
    id: DeadLetterId,
    resolution: Resolution,
    by: Option<UserId>,
    at: Timestamp,
) -> Result<()> {
    let decision = (
        dead_letters::resolution.eq(resolution),
        dead_letters::resolved_at.eq(at),
        dead_letters::resolved_by.eq(by),
    );
    on!(conn, c => diesel::update(dead_letters::table.find(id)).set(decision).execute(c))?;
    Ok(())
}
