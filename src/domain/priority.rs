//! The working order of the board.
//!
//! Each order is *due* at the time it was placed plus the time its slowest drink takes to make, and
//! the order that is due first is worked first (then the smaller id). So of two orders placed together the
//! quicker one goes first, and waiting counts by itself: the key is fixed when the order is placed, needs no
//! upkeep and can be indexed. Nothing starves: an order can only be overtaken by orders placed within
//! [`PreparationSeconds::MAX`] (10 minutes) after it, and, with the usual times (15 to 60 s), within 45 s.
//!
//! The *slowest* drink counts, not the sum: a large order is not punished for its size.

use super::{Timestamp, recipe::PreparationSeconds};
use chrono::TimeDelta;

pub fn due(placed_at: Timestamp, slowest_seconds: u16) -> Timestamp {
    placed_at + TimeDelta::seconds(slowest_seconds.into())
}

/// The earliest time at which an order that is due at `due` can have been placed.
pub fn placed_at_the_earliest(due: Timestamp) -> Timestamp {
    due - TimeDelta::seconds(PreparationSeconds::MAX.into())
}

/// The class that clients see: 1 (the slowest drink takes at most 15 s), 2 (30 s), 3 (45 s), 4 (longer).
pub fn priority(slowest_seconds: u16) -> u8 {
    match slowest_seconds {
        0..=15 => 1,
        16..=30 => 2,
        31..=45 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        now,
        recipe::{Build, PreparationSeconds},
    };

    #[test]
    fn of_two_orders_placed_together_the_quicker_goes_first() {
        let placed = now();
        assert!(due(placed, Build::Collins.seconds()) < due(placed, Build::Sour.seconds()));
    }

    #[test]
    fn no_stream_of_quick_orders_starves_a_slow_one() {
        let placed = now();
        let slow = due(placed, PreparationSeconds::MAX);
        let overtaking = (0..i64::from(u16::MAX))
            .map(|second| due(placed + TimeDelta::seconds(second), 1))
            .take_while(|quick| *quick < slow)
            .count();
        assert_eq!(
            overtaking,
            usize::from(PreparationSeconds::MAX) - 1,
            "one a second, until it is its turn"
        );
    }

    #[test]
    fn the_builds_fall_into_four_classes() {
        let classes: Vec<u8> = Build::ALL.iter().map(|build| priority(build.seconds())).collect();
        assert_eq!(classes, [1, 1, 2, 3, 4]);
    }
}
