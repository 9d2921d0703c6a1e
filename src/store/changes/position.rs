//! Positions in the feed: the changes that a reader has seen.
//!
//! PostgreSQL gives numbers before the commit, so a reader that goes by the highest number loses what commits
//! later. A position there is a snapshot: it knows of each transaction whether it was committed.

use std::{fmt, str::FromStr};

/// Transactions in progress that the position of a client knows of.
const MAX_IN_PROGRESS: usize = 16;

/// Changes that a reader has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    Pg(PgSnapshot),
    Sqlite(Row),
}

/// A snapshot of PostgreSQL, as `pg_current_snapshot()` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgSnapshot {
    /// All transactions below have ended.
    xmin: u64,
    /// All transactions from here on had not ended.
    xmax: u64,
    /// Transactions between that were in progress, ascending.
    in_progress: Vec<u64>,
}

/// A row of SQLite's table. The time tells it from a row of the same number in a restored file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Row {
    pub seq: i64,
    /// Microseconds since the Unix epoch; 0 before the first row.
    pub at: i64,
}

/// Place of one change in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Transaction that made the change; 0 on SQLite.
    pub xid: u64,
    pub seq: i64,
}

#[derive(Debug, thiserror::Error)]
#[error("not a position in the feed")]
pub struct PositionError;

impl Position {
    /// Returns whether a reader at this position has seen a change.
    pub fn has_seen(&self, key: Key) -> bool {
        match self {
            Self::Pg(snapshot) => snapshot.has_seen(key.xid),
            Self::Sqlite(row) => key.seq <= row.seq,
        }
    }

    /// Returns whether a reader at this position has seen everything that one at `other` has.
    pub fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pg(this), Self::Pg(other)) => this.includes(other),
            (Self::Sqlite(this), Self::Sqlite(other)) => other.seq <= this.seq,
            _ => false,
        }
    }

    /// Returns a position of limited length that has seen no more than this one, and nearly all of it: beyond
    /// the oldest transactions in progress it counts everything as unseen.
    #[must_use]
    pub fn shortened(&self) -> Self {
        match self {
            Self::Pg(snapshot) => Self::Pg(snapshot.shortened()),
            Self::Sqlite(row) => Self::Sqlite(*row),
        }
    }

    /// Returns whether this position has seen something that comes after `newest`, the latest position that is
    /// known: of another reader, or of a server or file that was restored from an older copy.
    pub fn is_ahead_of(&self, newest: &Self) -> bool {
        match (self, newest) {
            (Self::Pg(this), Self::Pg(newest)) => this.xmax > newest.xmax,
            (Self::Sqlite(this), Self::Sqlite(newest)) => this.seq > newest.seq,
            _ => false,
        }
    }

    /// Returns whether a position is of the same kind of database as this one.
    pub fn is_like(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Pg(_), Self::Pg(_)) | (Self::Sqlite(_), Self::Sqlite(_)))
    }
}

impl PgSnapshot {
    fn includes(&self, other: &Self) -> bool {
        let was_unseen = |xid: &u64| *xid >= other.xmax || other.in_progress.binary_search(xid).is_ok();
        other.xmax <= self.xmax && self.in_progress.iter().all(was_unseen)
    }

    fn shortened(&self) -> Self {
        let Some(&xmax) = self.in_progress.get(MAX_IN_PROGRESS) else { return self.clone() };
        let in_progress = self.in_progress.iter().copied().take(MAX_IN_PROGRESS).collect();
        Self { xmin: self.xmin, xmax, in_progress }
    }

    fn has_seen(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && self.in_progress.binary_search(&xid).is_err())
    }
}

impl fmt::Display for PgSnapshot {
    /// Formats it as `pg_current_snapshot()` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin, self.xmax)?;
        for (number, xid) in self.in_progress.iter().enumerate() {
            write!(f, "{}{xid}", if number == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for PgSnapshot {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut parts = text.splitn(3, ':');
        let (Some(xmin), Some(xmax), Some(between)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(PositionError);
        };
        // PostgreSQL refuses a number whose lower half is zero, and a client may send anything.
        let is_valid = |xid: &u64| xid.trailing_zeros() < u32::BITS;
        let number = |text: &str| text.parse().ok().filter(is_valid).ok_or(PositionError);
        let (xmin, xmax) = (number(xmin)?, number(xmax)?);
        let between = between.split(',').filter(|xid| !xid.is_empty());
        let in_progress: Vec<u64> = between.map(number).collect::<Result<_, _>>()?;
        let is_possible = xmin <= xmax
            && in_progress.is_sorted()
            && in_progress.iter().all(|xid| (xmin..xmax).contains(xid));
        if is_possible { Ok(Self { xmin, xmax, in_progress }) } else { Err(PositionError) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pg(snapshot) => snapshot.fmt(f),
            Self::Sqlite(Row { seq, at }) => write!(f, "{seq}-{at}"),
        }
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        if text.contains(':') {
            return text.parse().map(Self::Pg);
        }
        let (seq, at) = text.split_once('-').ok_or(PositionError)?;
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0).ok_or(PositionError);
        Ok(Self::Sqlite(Row { seq: number(seq)?, at: number(at)? }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests {
    use super::*;
    use rstest::rstest;

    fn pg(text: &str) -> Position {
        text.parse().unwrap()
    }

    #[rstest]
    #[case::ended_before("10:14:11,13", 9, true)]
    #[case::the_oldest_in_progress_is_xmin("10:14:10,13", 10, false)]
    #[case::ended_between("10:14:10,13", 12, true)]
    #[case::in_progress("10:14:10,13", 13, false)]
    #[case::later("10:14:10,13", 14, false)]
    fn a_snapshot_has_seen_what_had_ended(#[case] position: &str, #[case] xid: u64, #[case] expected: bool) {
        assert_eq!(pg(position).has_seen(Key { xid, seq: 1 }), expected);
    }

    #[rstest]
    #[case::itself("10:14:10,13", "10:14:10,13", true)]
    #[case::later("10:20:10", "10:14:10,13", true)]
    #[case::earlier("10:12:10", "10:14:10,13", false)]
    #[case::another_in_progress("10:14:10,12", "10:14:10,13", false)]
    #[case::one_more_in_progress("10:14:10,12,13", "10:14:10,13", false)]
    #[case::in_progress_since("10:20:10,15", "10:14:10,13", true)]
    fn a_position_includes_those_that_have_seen_no_more(
        #[case] this: &str,
        #[case] other: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(pg(this).includes(&pg(other)), expected);
    }

    #[test]
    fn a_shortened_position_forgets_the_newest_in_progress_and_keeps_a_long_one() {
        let whole = pg("5:100:5,80,81,82,83,84,85,86,87,88,89,90,91,92,93,94,95,99");
        let short = whole.shortened();
        assert_eq!(short.to_string(), "5:95:5,80,81,82,83,84,85,86,87,88,89,90,91,92,93,94");
        assert!(whole.includes(&short) && !short.includes(&whole));
        assert!(short.has_seen(Key { xid: 79, seq: 1 }), "the long one costs no more than itself");
        assert_eq!(pg("5:9:5,7").shortened(), pg("5:9:5,7"));
    }

    #[rstest]
    fn what_postgresql_would_not_read_is_no_position(
        #[values(
            "",
            ":",
            "1:2",
            "0:0:",
            "2:1:",
            "1:4:4",
            "1:4:0",
            "1:9:3,2",
            "4294967296:4294967297:",
            "1:x:",
            "-1:2:"
        )]
        text: &str,
    ) {
        assert!(text.parse::<Position>().is_err(), "{text}");
    }
}
