//! Cancels the open orders of a customer.

use crate::domain::{
    Timestamp,
    ids::{OrderId, UserId},
    now,
    order_state::Status,
    text::Note,
};
use crate::store::{
    Conn, Result, on, on_locked,
    orders::{
        pages::earliest_waiting,
        stands,
        transitions::{self, Transition},
    },
    query_macros::Besides,
    schema::orders,
    sql_types,
};
use chrono::TimeDelta;
use diesel::{dsl::sql, prelude::*, sql_types::Bool};
use diesel_async::RunQueryDsl;

/// Orders per pair of statements.
const BATCH: usize = 500;
/// Maximum of batches in one transaction, so that it ends in time.
const MAX_BATCHES: usize = 20;

/// Orders to cancel, and the entry in their history.
#[derive(Debug, Clone)]
pub struct Cancellation {
    pub customer_id: UserId,
    pub in_progress: bool,
    /// Restricts to orders nobody has acted on. Of those that somebody else placed for the customer, only
    /// those placed before this time are included.
    pub untouched: Option<Timestamp>,
    pub actor_id: UserId,
    pub reason: Option<Note>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = orders, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
struct OpenRow {
    id: OrderId,
    status: Status,
    version: i32,
    bartender_id: Option<UserId>,
    updated_at: Timestamp,
}

impl Cancellation {
    /// Cancels them, 10,000 at most of each status, and returns their ids. Belongs in a transaction.
    pub async fn run(&self, conn: &mut Conn) -> Result<Vec<OrderId>> {
        let mut cancelled = Vec::new();
        let statuses = [Some(Status::Pending), self.in_progress.then_some(Status::InProgress)];
        for status in statuses.into_iter().flatten() {
            for _ in 0..MAX_BATCHES {
                let rows = self.lock_some(conn, status).await?;
                let is_last = rows.len() < BATCH;
                cancelled.extend(self.cancel(conn, rows).await?);
                if is_last {
                    break;
                }
            }
        }
        Ok(cancelled)
    }

    /// Locks some of the orders of a status, sorted, so that two transactions that cancel them wait for each
    /// other instead of deadlocking.
    async fn lock_some(&self, conn: &mut Conn, status: Status) -> Result<Vec<OpenRow>> {
        let version = if self.untouched.is_some() { 1 } else { i32::MAX };
        let before = self.untouched.unwrap_or(Timestamp::LATEST);
        let some = orders::table
            .filter(stands(status))
            .filter(orders::version.le(version))
            .filter(orders::placed_by.eq(self.customer_id).or(orders::placed_at.lt(before)))
            .order((orders::placed_at.desc(), orders::id.desc()))
            .limit(i64::try_from(BATCH).unwrap_or(i64::MAX));
        if status == Status::Pending {
            // Excludes the customer's earlier orders from being read.
            let Some(since) = earliest_waiting(conn).await? else { return Ok(Vec::new()) };
            let own = orders::customer_id.eq(self.customer_id).and(orders::placed_at.ge(since));
            let own = some.filter(own);
            return Ok(on_locked!(conn, own.select(OpenRow::as_select()), [for_no_key_update], load)?);
        }
        // Few orders are in progress.
        let customer = self.customer_id.into_sql::<sql_types::Uuid>();
        let own = some.filter(Besides::new(orders::customer_id, customer));
        Ok(on_locked!(conn, own.select(OpenRow::as_select()), [for_no_key_update], load)?)
    }

    async fn cancel(&self, conn: &mut Conn, rows: Vec<OpenRow>) -> Result<Vec<OrderId>> {
        // Later than everything in their history, even if a clock was set back.
        let latest = rows.iter().map(|row| row.updated_at + TimeDelta::microseconds(1)).max();
        let Some(at) = latest.map(|latest| latest.max(now())) else { return Ok(Vec::new()) };
        let transition = |row: &OpenRow| Transition {
            order_id: row.id,
            customer_id: self.customer_id,
            version: row.version,
            from: row.status,
            to: Status::Cancelled,
            bartender_id: row.bartender_id,
            actor_id: self.actor_id,
            reason: self.reason.clone(),
            at,
        };
        let transitions: Vec<Transition> = rows.iter().map(transition).collect();
        let ids: Vec<OrderId> = rows.into_iter().map(|row| row.id).collect();
        let cancelled = (
            orders::status.eq(Status::Cancelled),
            orders::status_reason.eq(self.reason.as_ref()),
            orders::updated_at.eq(at),
            orders::version.eq(orders::version + 1),
        );
        on!(conn, c => diesel::update(orders::table.filter(orders::id.eq_any(&ids))).set(cancelled).execute(c))?;
        transitions::record(conn, &transitions).await?;
        Ok(ids)
    }
}

/// Returns those customers that have orders which nobody has acted on, placed at or after `since`.
pub async fn with_untouched(conn: &mut Conn, customers: &[UserId], since: Timestamp) -> Result<Vec<UserId>> {
    Ok(on!(conn, c => orders::table
        .filter(orders::customer_id.eq_any(customers))
        .filter(orders::placed_at.ge(since))
        .filter(sql::<Bool>("orders.status = 'pending' AND orders.version = 1"))
        .select(orders::customer_id)
        .distinct()
        .load(c))?)
}
