use super::{
    Conn, Result, on,
    orders::stands,
    schema::{boards, orders},
};
use crate::domain::{
    Timestamp,
    ids::{BoardId, OrderId, UserId},
    order_state::Status,
};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

/// The latest report of a board.
#[derive(Debug, Clone, Copy, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = boards, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct BoardReport {
    pub id: BoardId,
    pub account_id: UserId,
    pub reported_at: Timestamp,
    /// The board has shown what was recorded before.
    pub seen_until: Timestamp,
    /// Orders due before have room on the board; `None` if all have.
    pub shown_until: Option<Timestamp>,
}

/// Orders that boards should have shown.
#[derive(Debug, Clone, Copy)]
pub struct Overdue {
    pub recorded_after: Timestamp,
    pub recorded_before: Timestamp,
    pub due_before: Timestamp,
}

pub async fn report(conn: &mut Conn, report: &BoardReport) -> Result<()> {
    on!(conn, c => diesel::insert_into(boards::table)
        .values(report)
        .on_conflict(boards::id)
        .do_update()
        .set(report)
        .execute(c))?;
    Ok(())
}

/// Loads the reports since a time, `limit` at most.
pub async fn reported_since(conn: &mut Conn, since: Timestamp, limit: i64) -> Result<Vec<BoardReport>> {
    Ok(on!(conn, c => boards::table
        .filter(boards::reported_at.ge(since))
        .select(BoardReport::as_select())
        .limit(limit)
        .load(c))?)
}

pub async fn forget(conn: &mut Conn, before: Timestamp) -> Result<usize> {
    Ok(on!(conn, c => diesel::delete(boards::table.filter(boards::reported_at.lt(before))).execute(c))?)
}

/// Loads waiting orders, in working order, `limit` at most, with their customers.
pub async fn overdue(conn: &mut Conn, overdue: Overdue, limit: i64) -> Result<Vec<(OrderId, UserId)>> {
    Ok(on!(conn, c => orders::table
        .filter(stands(Status::Pending))
        .filter(orders::recorded_at.gt(overdue.recorded_after))
        .filter(orders::recorded_at.lt(overdue.recorded_before))
        .filter(orders::due_at.lt(overdue.due_before))
        .order((orders::due_at, orders::id))
        .select((orders::id, orders::customer_id))
        .limit(limit)
        .load(c))?)
}
