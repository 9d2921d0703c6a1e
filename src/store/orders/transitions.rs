//! Transitions of orders, and their history.

use crate::store::{
    Conn, Result, audit, changes, narrow, narrow_to, on,
    schema::{order_moves, orders},
    sql_types,
};
use crate::{
    domain::{
        Timestamp,
        audit::{Action, Actor, Changes, Entry},
        change_set::{ChangeSet, OrderChange},
        ids::{EntryId, OrderId, UserId},
        order::HistoryEntry,
        order_state::Status,
        text::Note,
    },
    telemetry,
};
use diesel::{dsl::sql, prelude::*, sql_types::Bool};
use diesel_async::RunQueryDsl;
use serde_json::json;
use uuid::{Builder, Uuid};

#[derive(Debug, Clone)]
pub struct Transition {
    pub order_id: OrderId,
    pub customer_id: UserId,
    /// The version at which the order was read: the transition is made only if it is still current.
    pub version: i32,
    pub from: Status,
    pub to: Status,
    /// The bartender from now on.
    pub bartender_id: Option<UserId>,
    pub actor_id: UserId,
    pub reason: Option<Note>,
    pub at: Timestamp,
}

#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = order_moves, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
#[diesel(treat_none_as_default_value = false)]
struct MoveRow {
    order_id: OrderId,
    number: i32,
    from_status: Status,
    to_status: Status,
    actor_id: UserId,
    reason: Option<Note>,
    moved_at: Timestamp,
    request_id: Option<String>,
}

/// Makes a transition and records it. Returns false if the order has changed since it was read. Belongs in a
/// transaction.
pub async fn make(conn: &mut Conn, transition: &Transition) -> Result<bool> {
    let update = (
        orders::status.eq(transition.to),
        orders::status_reason.eq(transition.reason.as_ref()),
        orders::bartender_id.eq(transition.bartender_id),
        orders::updated_at.eq(transition.at),
        orders::version.eq(transition.version + 1),
    );
    let seen = orders::version.eq(transition.version).and(orders::status.eq(transition.from));
    let moved = on!(conn, c => diesel::update(orders::table.find(transition.order_id).filter(seen)).set(update).execute(c))?;
    if moved == 0 {
        return Ok(false);
    }
    record(conn, std::slice::from_ref(transition)).await?;
    Ok(true)
}

/// Records transitions, of one time, in the transaction that makes them.
pub(in crate::store) async fn record(conn: &mut Conn, transitions: &[Transition]) -> Result<()> {
    let rows: Vec<MoveRow> = transitions.iter().map(MoveRow::of).collect();
    match conn {
        Conn::Pg(conn) => {
            diesel::insert_into(order_moves::table).values(&rows).execute(&mut **conn).await?;
        }
        // SQLite takes one row at a time.
        Conn::Sqlite(conn) => {
            for row in &rows {
                diesel::insert_into(order_moves::table).values(row).execute(&mut **conn).await?;
            }
        }
    }
    let changed = transitions.iter().map(|transition| OrderChange {
        id: transition.order_id,
        version: transition.version + 1,
        customer_id: transition.customer_id,
    });
    match transitions.first() {
        Some(first) => changes::append(conn, &ChangeSet::of_orders(changed.collect()), first.at).await,
        None => Ok(()),
    }
}

impl MoveRow {
    fn of(transition: &Transition) -> Self {
        Self {
            order_id: transition.order_id,
            number: transition.version + 1,
            from_status: transition.from,
            to_status: transition.to,
            actor_id: transition.actor_id,
            reason: transition.reason.clone(),
            moved_at: transition.at,
            request_id: telemetry::request_id().map(|request| request.as_ref().to_owned()),
        }
    }
}

/// Returns the status before the latest transition.
pub async fn before_latest(conn: &mut Conn, id: OrderId) -> Result<Option<Status>> {
    Ok(on!(conn, c => order_moves::table
        .filter(order_moves::order_id.eq(id))
        .order(order_moves::number.desc())
        .select(order_moves::from_status)
        .first(c))
    .optional()?)
}

/// Loads all transitions of an order, oldest first.
pub async fn history(conn: &mut Conn, id: OrderId) -> Result<Vec<HistoryEntry>> {
    let rows: Vec<MoveRow> = on!(conn, c => order_moves::table
        .filter(order_moves::order_id.eq(id))
        .order(order_moves::number)
        .select(MoveRow::as_select())
        .load(c))?;
    Ok(rows
        .into_iter()
        .map(|row| HistoryEntry {
            number: row.number,
            from: row.from_status,
            to: row.to_status,
            actor_id: row.actor_id,
            reason: row.reason,
            moved_at: row.moved_at,
        })
        .collect())
}

impl From<MoveRow> for Entry {
    fn from(row: MoveRow) -> Self {
        let before = json!({ "status": row.from_status });
        let after = json!({ "status": row.to_status, "reason": row.reason });
        Self {
            id: entry_id(&row),
            at: row.moved_at,
            actor_id: Some(row.actor_id),
            action: Action::OrderMoved,
            subject_id: row.order_id.into(),
            changes: Changes::between(&before, &after),
            request_id: row.request_id,
        }
    }
}

/// Derives the id of a transition, which has none in the database, from its key and time (UUIDv7).
fn entry_id(row: &MoveRow) -> EntryId {
    let name = Uuid::new_v5(&row.order_id.0, &row.number.to_be_bytes());
    let (_, bits) = name.as_bytes().split_last_chunk().unwrap_or((&[], &[0; 10]));
    let millis = u64::try_from(row.moved_at.micros() / 1000).unwrap_or_default();
    EntryId(Builder::from_unix_timestamp_millis(millis, bits).into_uuid())
}

/// Loads a page of the transitions of all orders, newest first, after the entry `after`. Placing an order is
/// not one.
pub async fn entries(
    conn: &mut Conn,
    filter: &audit::AuditFilter,
    after: Option<(Timestamp, Uuid)>,
    limit: i64,
) -> Result<Vec<Entry>> {
    let audit::AuditFilter { actor, subject, from, until, .. } = *filter;
    if actor == Some(Actor::System) {
        return Ok(Vec::new());
    }
    // Both conditions match the predicate of the partial index that shall be used (see `orders::stands`).
    let made = match actor {
        None => "order_moves.from_status <> 'queued'",
        Some(_) => "order_moves.number > 1",
    };
    let rows: Vec<MoveRow> = on!(conn, c => {
        let made = sql::<Bool>(made);
        let mut query = order_moves::table.filter(made).select(MoveRow::as_select()).into_boxed();
        narrow!(query, Some(subject) = subject => order_moves::order_id.eq(OrderId(subject.0)));
        if let Some(Actor::Account(id)) = actor {
            narrow_to!(query, order_moves::actor_id, id, sql_types::Uuid, led: subject.is_some());
        }
        narrow!(query,
            Some(from) = from => order_moves::moved_at.ge(from),
            Some(until) = until => order_moves::moved_at.lt(until),
            Some((at, id)) = after =>
                order_moves::moved_at.le(at).and(order_moves::moved_at.lt(at).or(order_moves::order_id.lt(OrderId(id)))),
        );
        query.order((order_moves::moved_at.desc(), order_moves::order_id.desc())).limit(limit).load(c)
    })?;
    Ok(rows.into_iter().map(Entry::from).collect())
}
