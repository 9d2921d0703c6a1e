//! The latest changes in memory, for clients that resume.

use crate::store::changes::{Position, StoredChange};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// Changed orders that are kept, some 60 bytes each.
const MAX_ORDERS: usize = 65_536;
/// Changes that are kept, whatever they consist of.
const MAX_CHANGES: usize = 16_384;

/// Age from which a client that resumes reads everything again.
pub const RETENTION: Duration = Duration::from_secs(600);

pub struct Ring {
    /// Every change that this position has not seen is in the ring, up to the newest position.
    start: Position,
    newest: Position,
    batches: VecDeque<Batch>,
    orders: usize,
    changes: usize,
}

struct Batch {
    changes: Vec<Arc<StoredChange>>,
    position: Position,
    read_at: Instant,
}

impl Ring {
    pub fn new(start: Position) -> Self {
        Self { newest: start.clone(), start, batches: VecDeque::new(), orders: 0, changes: 0 }
    }

    /// Latest position of the reader.
    pub fn newest(&self) -> &Position {
        &self.newest
    }

    /// Adds a batch, with the position after it. Forgets the oldest batches beyond the limits.
    pub fn push(&mut self, changes: Vec<Arc<StoredChange>>, position: Position) {
        self.newest = position.clone();
        if !changes.is_empty() {
            self.orders += count_orders(&changes);
            self.changes += changes.len();
            self.batches.push_back(Batch { changes, position, read_at: Instant::now() });
        }
        while self.is_full()
            || self.batches.front().is_some_and(|oldest| oldest.read_at.elapsed() > RETENTION)
        {
            let Some(oldest) = self.batches.pop_front() else { break };
            self.orders = self.orders.saturating_sub(count_orders(&oldest.changes));
            self.changes = self.changes.saturating_sub(oldest.changes.len());
            self.start = oldest.position;
        }
    }

    fn is_full(&self) -> bool {
        self.orders > MAX_ORDERS || self.changes > MAX_CHANGES
    }

    /// Returns the changes that a client at this position has not seen, unless the ring has forgotten some of
    /// them.
    pub fn unseen(&self, position: &Position) -> Option<Vec<Arc<StoredChange>>> {
        if !position.includes(&self.start) {
            return None;
        }
        let changes = self.batches.iter().flat_map(|batch| &batch.changes);
        Some(changes.filter(|change| !position.has_seen(change.key)).cloned().collect())
    }

    /// Returns whether the ring knows a row of SQLite with this number and another time, or none although it
    /// has all from there on: the file was restored from a copy.
    pub fn contradicts(&self, position: &Position) -> bool {
        let (Position::Sqlite(row), Position::Sqlite(start)) = (position, &self.start) else { return false };
        if row.seq <= start.seq {
            return row.seq == start.seq && row != start;
        }
        let mut changes = self.batches.iter().flat_map(|batch| &batch.changes);
        !changes.any(|change| change.key.seq == row.seq && change.at.micros() == row.at)
    }
}

fn count_orders(changes: &[Arc<StoredChange>]) -> usize {
    changes.iter().map(|change| change.what.orders.len()).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests {
    use super::*;
    use crate::{
        domain::{Timestamp, change_set::ChangeSet},
        store::changes::{Key, Row},
    };
    use rstest::rstest;

    fn position(seq: i64, at: i64) -> Position {
        Position::Sqlite(Row { seq, at })
    }

    /// Fills a ring with rows that each have ten times their number as their time.
    fn ring(start: i64, newest: i64) -> Ring {
        let mut ring = Ring::new(position(start, 10 * start));
        for seq in start + 1..=newest {
            let at = Timestamp::from_micros(10 * seq).unwrap();
            let change = StoredChange { key: Key { xid: 0, seq }, at, what: ChangeSet::default() };
            ring.push(vec![Arc::new(change)], position(seq, 10 * seq));
        }
        ring
    }

    #[rstest]
    #[case::the_start(5, 50, false)]
    #[case::the_newest(9, 90, false)]
    #[case::older_than_the_ring(4, 41, false)]
    #[case::the_start_at_another_time(5, 51, true)]
    #[case::another_time(7, 71, true)]
    #[case::the_newest_at_another_time(9, 91, true)]
    #[case::later_than_the_newest(10, 100, true)]
    fn a_row_of_a_file_that_was_replaced_contradicts(
        #[case] seq: i64,
        #[case] at: i64,
        #[case] expected: bool,
    ) {
        assert_eq!(ring(5, 9).contradicts(&position(seq, at)), expected);
    }

    #[rstest]
    #[case(5, Some(4))]
    #[case(8, Some(1))]
    #[case(9, Some(0))]
    #[case::forgotten(4, None)]
    fn a_client_gets_what_it_has_not_seen(#[case] seq: i64, #[case] expected: Option<usize>) {
        let unseen = ring(5, 9).unseen(&position(seq, 10 * seq));
        assert_eq!(unseen.map(|changes| changes.len()), expected);
    }

    #[test]
    fn a_ring_without_changes_knows_all_since_its_start() {
        let mut ring = Ring::new("10:10:".parse().unwrap());
        ring.push(Vec::new(), "900:905:901".parse().unwrap());
        assert_eq!(ring.newest().to_string(), "900:905:901");
        assert!(ring.unseen(&"50:60:55".parse().unwrap()).is_some_and(|unseen| unseen.is_empty()));
        assert!(
            ring.unseen(&"9:12:9".parse().unwrap()).is_none(),
            "one that was in progress may have committed"
        );
    }

    #[test]
    fn beyond_its_limits_the_oldest_changes_are_forgotten() {
        let ring = ring(0, 2 * i64::try_from(MAX_CHANGES).unwrap());
        assert_eq!(ring.changes, MAX_CHANGES);
        assert!(ring.unseen(&position(1, 10)).is_none());
    }
}
