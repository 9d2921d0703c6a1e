//! Moves of orders, and their history.

use super::{
    Conn, Result, on,
    schema::{order_moves, orders},
};
use crate::domain::{
    Instant,
    ids::{OrderId, UserId},
    moves::Status,
    order::HistoryEntry,
    text::Note,
};
use diesel::{
    AsChangeset, BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl,
    Queryable, Selectable, SelectableHelper,
};
use diesel::{pg::Pg, sqlite::Sqlite};
use diesel_async::RunQueryDsl;

/// One move to make.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which order.
    pub order_id: OrderId,
    /// The version it was seen at: the move is made only if that still is its version.
    pub version: i32,
    /// Where it stands.
    pub from: Status,
    /// Where to.
    pub to: Status,
    /// Who works on it from now on.
    pub bartender_id: Option<UserId>,
    /// Who moves it.
    pub actor_id: UserId,
    /// Why, if they say.
    pub reason: Option<Note>,
    /// When.
    pub at: Instant,
}

#[derive(AsChangeset)]
#[diesel(table_name = orders, treat_none_as_null = true)]
struct Standing<'a> {
    status: Status,
    status_reason: Option<&'a Note>,
    bartender_id: Option<UserId>,
    updated_at: Instant,
    version: i32,
}

#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = order_moves, check_for_backend(Pg, Sqlite), treat_none_as_default_value = false)]
struct MoveRow {
    order_id: OrderId,
    number: i32,
    from_status: Status,
    to_status: Status,
    actor_id: UserId,
    reason: Option<Note>,
    moved_at: Instant,
}

/// Makes a move and writes it down. False if the order has moved since it was seen. Belongs in a transaction.
pub async fn make(conn: &mut Conn, step: &Step) -> Result<bool> {
    let number = step.version + 1;
    let standing = Standing {
        status: step.to,
        status_reason: step.reason.as_ref(),
        bartender_id: step.bartender_id,
        updated_at: step.at,
        version: number,
    };
    let seen = orders::version.eq(step.version).and(orders::status.eq(step.from));
    let moved = on!(conn, c => diesel::update(orders::table.find(step.order_id).filter(seen)).set(&standing).execute(c))?;
    if moved == 0 {
        return Ok(false);
    }
    let row = MoveRow {
        order_id: step.order_id,
        number,
        from_status: step.from,
        to_status: step.to,
        actor_id: step.actor_id,
        reason: step.reason.clone(),
        moved_at: step.at,
    };
    on!(conn, c => diesel::insert_into(order_moves::table).values(&row).execute(c))?;
    Ok(true)
}

/// Where an order stood before its latest move.
pub async fn before_latest(conn: &mut Conn, id: OrderId) -> Result<Option<Status>> {
    Ok(on!(conn, c => order_moves::table
        .filter(order_moves::order_id.eq(id))
        .order(order_moves::number.desc())
        .select(order_moves::from_status)
        .first(c))
    .optional()?)
}

/// All moves of an order, first to last.
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
