//! The history of an order: its transitions, and other orders rejected under its key.

use crate::{
    domain::{
        Timestamp,
        ids::{OrderId, UserId},
        order::HistoryEntry,
        text::Note,
    },
    store::{self, Conn, insert_orders::key_conflicts, orders::transitions},
};

/// Reason given in entries for rejected orders.
const NOT_TAKEN: &str = "another order under this key was not taken";

/// Loads the history of a stored order, oldest first.
pub(super) async fn history(conn: &mut Conn, id: OrderId) -> store::Result<Vec<HistoryEntry>> {
    let moves = transitions::history(conn, id).await?;
    Ok(merged(moves, key_conflicts::of(conn, id).await?))
}

/// Inserts rejected orders by their time. Their entries lead from a status to the same one.
fn merged(mut entries: Vec<HistoryEntry>, not_taken: Vec<(UserId, Timestamp)>) -> Vec<HistoryEntry> {
    for (actor_id, at) in not_taken {
        // Never first, whatever the clocks say: the order was stored by then.
        let index = entries.partition_point(|entry| entry.moved_at <= at).max(1);
        let Some(before) = index.checked_sub(1).and_then(|before| entries.get(before)) else { break };
        let (from, to) = (before.to, before.to);
        let reason = Note::try_from(NOT_TAKEN).ok();
        entries.insert(index, HistoryEntry { number: 0, from, to, actor_id, reason, moved_at: at });
    }
    for (entry, number) in entries.iter_mut().zip(1..) {
        entry.number = number;
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{now, order_state::Status};
    use chrono::TimeDelta;

    #[test]
    fn what_was_not_taken_stands_where_its_time_is_and_never_first() {
        let (ana, start) = (UserId::new_v7(), now());
        let entry = |number, from, to, seconds| HistoryEntry {
            number,
            from,
            to,
            actor_id: ana,
            reason: None,
            moved_at: start + TimeDelta::seconds(seconds),
        };
        let moves = vec![
            entry(1, Status::Queued, Status::Pending, 0),
            entry(2, Status::Pending, Status::InProgress, 10),
        ];
        let others = [-5, 5, 20].map(|seconds| (ana, start + TimeDelta::seconds(seconds)));
        let merged = merged(moves, others.to_vec());
        let shown: Vec<_> = merged.iter().map(|entry| (entry.number, entry.from, entry.to)).collect();
        assert_eq!(
            shown,
            [
                (1, Status::Queued, Status::Pending),
                (2, Status::Pending, Status::Pending),
                (3, Status::Pending, Status::Pending),
                (4, Status::Pending, Status::InProgress),
                (5, Status::InProgress, Status::InProgress),
            ]
        );
        assert_eq!(super::merged(Vec::new(), others.to_vec()), []);
    }
}
