//! Boards: the screens that staff work by, and the orders that none of them has shown.

use crate::{
    domain::{
        Timestamp,
        ids::{BoardId, OrderId, UserId},
        now,
    },
    services::{
        DatabaseError,
        accounts::Caller,
        feed::{Cursor, Feed},
    },
    store::{
        self, Store, TRANSACTION_TIMEOUT,
        boards::{self, BoardReport, Overdue},
    },
    telemetry::{log_throttle, metrics},
    util::backoff::jittered,
};
use chrono::TimeDelta;
use std::{collections::HashMap, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Age of its latest report at which a board counts as closed.
const OPEN: TimeDelta = TimeDelta::seconds(30);
/// Age of the latest report of a board at which nobody seems to work with boards, and at which it is deleted.
const RETENTION: TimeDelta = TimeDelta::days(1);
const MAX_BOARDS: i64 = 1000;
/// Orders that are named; there may be more.
const MAX_UNSEEN: i64 = 200;

/// Unseen orders, with their customers.
type UnseenOrders = HashMap<OrderId, UserId>;

#[derive(Clone)]
pub struct Boards {
    pub store: Store,
    pub feed: Feed,
}

/// The cursor is of another feed.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("the cursor is of another feed")]
    OtherFeed,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Boards {
    /// Notes what a board has shown: everything up to the cursor that is due before `shown_until`.
    pub async fn note_seen(
        &self,
        staff: Caller,
        id: BoardId,
        cursor: &Cursor,
        shown_until: Option<Timestamp>,
    ) -> Result<(), ReportError> {
        if cursor.feed != self.feed.cursor().feed {
            return Err(ReportError::OtherFeed);
        }
        let reported_at = now();
        let reached_at = Timestamp::from_micros(cursor.reached_at.saturating_mul(1_000_000));
        let report = BoardReport {
            id,
            account_id: staff.id,
            reported_at,
            seen_until: reached_at.unwrap_or(Timestamp::EARLIEST).min(reported_at),
            shown_until,
        };
        let written = self.store.write_idempotent(async move |conn| boards::report(conn, &report).await);
        Ok(written.await.map_err(DatabaseError::from)?)
    }

    /// Looks for orders that no open board has shown, until `stop`.
    pub async fn keep_watching(self, unseen_after: TimeDelta, stop: CancellationToken) {
        while stop.run_until_cancelled(sleep(jittered(CHECK_INTERVAL))).await.is_some() {
            match self.unseen(unseen_after).await {
                Ok(unseen) => self.tell(&unseen),
                Err(error) => tracing::debug!(%error, "failed to look for unseen orders"),
            }
        }
    }

    async fn unseen(&self, unseen_after: TimeDelta) -> store::Result<UnseenOrders> {
        let now = now();
        let read = self.store.read(async move |conn| {
            let reports = boards::reported_since(conn, now - RETENTION, MAX_BOARDS).await?;
            match overdue(&reports, now, unseen_after) {
                Some(overdue) => boards::overdue(conn, overdue, MAX_UNSEEN).await,
                None => Ok(Vec::new()),
            }
        });
        let unseen = read.await?.into_iter().collect();
        self.store.write_idempotent(async move |conn| boards::forget(conn, now - RETENTION).await).await?;
        Ok(unseen)
    }

    fn tell(&self, unseen: &UnseenOrders) {
        metrics::board().unseen.set(i64::try_from(unseen.len()).unwrap_or(i64::MAX));
        if let Some(first) = unseen.keys().min()
            && let Some(repeated) = log_throttle::admit("unseen orders")
        {
            tracing::warn!(orders = unseen.len(), order.id = %first, repeated, "no open board has shown some waiting orders");
        }
        self.feed.set_unseen(unseen);
    }
}

/// Returns the orders that an open board should have shown by now; `None` if nobody works with boards, or all
/// is shown.
fn overdue(reports: &[BoardReport], now: Timestamp, unseen_after: TimeDelta) -> Option<Overdue> {
    // A board without an end shows everything.
    let ends = reports.iter().map(|report| report.shown_until.unwrap_or(Timestamp::LATEST));
    let due_before = ends.max()?;
    let is_open = |report: &&BoardReport| report.reported_at >= now - OPEN;
    let seen_until = reports.iter().filter(is_open).map(|report| report.seen_until).max();
    // An order is committed some time after it was given its time of recording.
    let margin = TimeDelta::from_std(TRANSACTION_TIMEOUT).unwrap_or_default();
    let recorded_after = seen_until.map_or(now - RETENTION, |seen_until| seen_until - margin);
    let recorded_before = now - unseen_after;
    (recorded_after < recorded_before).then_some(Overdue { recorded_after, recorded_before, due_before })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const UNSEEN_AFTER: TimeDelta = TimeDelta::seconds(30);

    /// Seconds before now at which the board reported, and up to which it had seen everything.
    fn report(reported: i64, seen: i64, now: Timestamp) -> BoardReport {
        BoardReport {
            id: BoardId::new_v7(),
            account_id: UserId::new_v7(),
            reported_at: now - TimeDelta::seconds(reported),
            seen_until: now - TimeDelta::seconds(seen),
            shown_until: None,
        }
    }

    #[rstest]
    #[case::no_board_ever(&[], None)]
    #[case::an_open_board_that_follows(&[(1, 2)], None)]
    #[case::one_of_two_follows(&[(1, 2), (1, 300)], None)]
    #[case::an_open_board_that_hangs(&[(1, 300)], Some(306))]
    #[case::boards_that_are_gone(&[(300, 300)], Some(86_400))]
    fn orders_are_unseen_if_no_open_board_follows(
        #[case] boards: &[(i64, i64)],
        #[case] recorded_within: Option<i64>,
    ) {
        let now = now();
        let reports: Vec<_> = boards.iter().map(|(reported, seen)| report(*reported, *seen, now)).collect();
        let after = overdue(&reports, now, UNSEEN_AFTER).map(|overdue| overdue.recorded_after);
        assert_eq!(after, recorded_within.map(|seconds| now - TimeDelta::seconds(seconds)));
    }
}
