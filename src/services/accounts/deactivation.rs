//! Cancels the orders of deactivated accounts. Pending orders are cancelled with the account; orders still at
//! the broker are cancelled after they are recorded.

use crate::{
    domain::{
        Timestamp,
        audit::Action,
        ids::{SubjectId, UserId},
        now,
        order_state::Status,
        text::Note,
    },
    store::{
        self, Conn, Store,
        audit::{self, AuditFilter},
        open_orders::cancellations::{self, Cancellation},
        users,
    },
    telemetry::metrics::{self, MetricLabel},
    util::backoff::jittered,
};
use chrono::TimeDelta;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Longest interval of the search for late orders: they are cancelled within 10 s of being recorded.
const SEARCH_INTERVAL: Duration = Duration::from_secs(4);
/// Longest time for which an order may have been at the broker before its account was deactivated, and after
/// that, to be found.
const MAX_QUEUED: TimeDelta = TimeDelta::days(7);
/// Accounts that are examined: the ones deactivated last.
const MAX_ACCOUNTS: i64 = 1000;
/// Accounts whose orders are cancelled in one pass; the others follow in the next.
const MAX_CANCELLED_ACCOUNTS: usize = 100;

/// Counts orders that were cancelled with their account.
pub(super) fn count(cancelled: usize) {
    let cancelled = u64::try_from(cancelled).unwrap_or_default();
    metrics::transitions().orders.of(Status::Cancelled.label()).inc_by(cancelled);
}

/// Cancels the recorded orders of deactivated accounts until `stop`. Any number of processes may do so.
pub async fn keep_cancelling(store: Store, stop: CancellationToken) {
    let mut is_failing = false;
    while stop.run_until_cancelled(sleep(jittered(SEARCH_INTERVAL))).await.is_some() {
        let outcome = cancel_late(&store).await;
        if let Err(error) = &outcome
            && !is_failing
        {
            tracing::warn!(%error, "failed to cancel orders of inactive accounts; retrying");
        }
        is_failing = outcome.is_err();
    }
}

async fn cancel_late(store: &Store) -> store::Result<()> {
    for (account, since) in store.read(async |conn| inactive(conn).await).await? {
        let cancelled = store.write(async move |conn| cancel_untouched(conn, account, since).await).await?;
        count(cancelled);
        if cancelled > 0 {
            tracing::info!(%account, orders = cancelled, "cancelled orders of an inactive account");
        }
    }
    Ok(())
}

/// Returns inactive accounts with orders that nobody has acted on, and the time of their deactivation.
async fn inactive(conn: &mut Conn) -> store::Result<Vec<(UserId, Timestamp)>> {
    let since = now() - MAX_QUEUED;
    let mut accounts = users::deactivated_since(conn, since, MAX_ACCOUNTS).await?;
    if accounts.is_empty() {
        return Ok(accounts);
    }
    let ids: Vec<UserId> = accounts.iter().map(|(id, _)| *id).collect();
    let concerned = cancellations::with_untouched(conn, &ids, since - MAX_QUEUED).await?;
    accounts.retain(|(id, _)| concerned.contains(id));
    accounts.truncate(MAX_CANCELLED_ACCOUNTS);
    Ok(accounts)
}

async fn cancel_untouched(conn: &mut Conn, account: UserId, since: Timestamp) -> store::Result<usize> {
    // It may have been activated meanwhile.
    let is_inactive = users::by_id(conn, account).await?.is_some_and(|(user, _)| !user.active);
    if !is_inactive {
        return Ok(0);
    }
    let (action, subject) = (Some(Action::AccountDeactivated), Some(SubjectId::from(account)));
    let entries =
        audit::page(conn, &AuditFilter { action, subject, ..AuditFilter::default() }, None, 1).await?;
    // Each transition needs an actor: the account itself if nobody deactivated it through the API.
    let by = entries.into_iter().find_map(|entry| entry.actor_id).unwrap_or(account);
    cancel(conn, by, account, Some(since)).await
}

/// Cancels the pending orders of an account, or only those untouched since it was deactivated, and returns their
/// number. Part of a transaction.
pub(super) async fn cancel(
    conn: &mut Conn,
    actor_id: UserId,
    customer_id: UserId,
    untouched: Option<Timestamp>,
) -> store::Result<usize> {
    let reason = Note::try_from("The account was switched off.").ok();
    let cancellation = Cancellation { customer_id, in_progress: false, untouched, actor_id, reason };
    Ok(cancellation.run(conn).await?.len())
}
