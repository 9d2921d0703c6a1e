//! One customer's open orders, as far as this process knows them. No I/O.

use crate::domain::{
    Timestamp,
    ids::{OrderId, UserId},
};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer of the database counts. Older ones are as good as none.
const ANSWER_LIFETIME: Duration = Duration::from_secs(5);
/// How long an order counts of which nobody knows whether it was kept: its client hung up, or neither server said.
const UNDECIDED_LIFETIME: Duration = Duration::from_secs(60);
/// How long an accepted order counts that the database does not show. (Such as become dead letters are seen there.)
const ACCEPTED_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How long an account is new, in milliseconds.
const NEW_ACCOUNT_MILLIS: i64 = 60 * 60 * 1000;
/// How far the clock of who made an account may be ahead, in milliseconds.
const CLOCK_SKEW_MILLIS: i64 = 5 * 60 * 1000;

/// Open orders, and the drinks of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// How many orders.
    pub orders: u32,
    /// How many drinks, of all orders together.
    pub drinks: u32,
}

impl Load {
    /// Adds one order.
    #[must_use]
    pub fn plus(self, drinks: u32) -> Self {
        Self { orders: self.orders.saturating_add(1), drinks: self.drinks.saturating_add(drinks) }
    }
}

/// An order that was accepted here, or is about to be, and has not been seen in the database.
#[derive(Debug)]
struct Accepted {
    id: OrderId,
    drinks: u32,
    until: Instant,
}

/// What is known of a customer.
#[derive(Debug)]
pub struct Customer {
    accepted: Vec<Accepted>,
    /// What the database had of them when it was last asked.
    stored: Load,
    answered: Option<Instant>,
    attempted: Instant,
    /// Where they ordered from last.
    pub network: u128,
    /// How many drinks their network is charged with for them.
    pub charged: u32,
}

impl Customer {
    /// A customer of whom nothing is known.
    pub fn new(network: u128, at: Instant) -> Self {
        let stored = Load::default();
        Self { accepted: Vec::new(), stored, answered: None, attempted: at, network, charged: 0 }
    }

    /// Notes that they try to order.
    pub fn attempts(&mut self, at: Instant) {
        self.attempted = at;
        self.accepted.retain(|order| order.until > at);
    }

    /// What counts as theirs.
    pub fn load(&self, at: Instant) -> Load {
        let answer_counts = self.answered.is_some_and(|answered| at < answered + ANSWER_LIFETIME);
        let stored = if answer_counts { self.stored } else { Load::default() };
        self.accepted.iter().fold(stored, |load, order| load.plus(order.drinks))
    }

    /// Whether this order is counted already, for it is a repeat.
    pub fn has(&self, id: OrderId) -> bool {
        self.accepted.iter().any(|order| order.id == id)
    }

    /// Counts an order that is about to be accepted.
    pub fn reserve(&mut self, id: OrderId, drinks: u32, at: Instant) {
        self.accepted.push(Accepted { id, drinks, until: at + UNDECIDED_LIFETIME });
    }

    /// Counts an order on, now that it is accepted.
    pub fn accept(&mut self, id: OrderId, at: Instant) {
        if let Some(order) = self.accepted.iter_mut().find(|order| order.id == id) {
            order.until = at + ACCEPTED_LIFETIME;
        }
    }

    /// Forgets an order that was not accepted.
    pub fn release(&mut self, id: OrderId) {
        self.accepted.retain(|order| order.id != id);
    }

    /// The orders that have not been seen in the database.
    pub fn unseen(&self) -> impl Iterator<Item = OrderId> {
        self.accepted.iter().map(|order| order.id)
    }

    /// Whether the database should be asked before others: an answer may decide about their next order.
    pub fn is_urgent(&self, limit: u32) -> bool {
        let is_at_limit = self.stored.orders.saturating_add(1) > limit;
        is_at_limit
            || !self.accepted.is_empty()
            || self.answered.is_none_or(|answered| self.attempted >= answered)
    }

    /// When the database was last asked about them.
    pub fn answered(&self) -> Option<Instant> {
        self.answered
    }

    /// Takes over what the database says that was asked `at`. Orders that it has seen are not counted twice.
    pub fn answer(&mut self, stored: Load, is_seen: impl Fn(OrderId) -> bool, at: Instant) {
        self.accepted.retain(|order| order.until > at && !is_seen(order.id));
        self.stored = stored;
        self.answered = Some(at);
    }

    /// Whether there is nothing to remember, as of the answer of this time.
    pub fn is_idle(&self, at: Instant) -> bool {
        self.accepted.is_empty() && self.stored.orders == 0 && self.attempted < at
    }
}

/// Whether an account is younger than an hour. Its id says when it was made (UUIDv7); of one that does not, that is unknown, and it
/// counts as old.
pub fn is_new(customer: UserId, now: Timestamp) -> bool {
    if customer.0.get_version_num() != 7 {
        return false;
    }
    let made = i64::try_from(customer.0.as_u128() >> 80).unwrap_or(i64::MAX);
    let age = (now.micros() / 1000).saturating_sub(made);
    (-CLOCK_SKEW_MILLIS..NEW_ACCOUNT_MILLIS).contains(&age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::now;
    use chrono::TimeDelta;
    use uuid::Uuid;

    #[test]
    fn an_account_is_new_for_an_hour() {
        let (id, now) = (UserId::new_v7(), now());
        assert!(is_new(id, now) && is_new(id, now + TimeDelta::minutes(59)));
        assert!(!is_new(id, now + TimeDelta::minutes(61)));
        // Made by a process whose clock is ahead; and by one whose clock can't be right.
        assert!(is_new(id, now - TimeDelta::minutes(4)) && !is_new(id, now - TimeDelta::minutes(6)));
        // Of others nobody knows when they were made.
        assert!(!is_new(UserId(Uuid::new_v4()), now));
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_counts_from_its_acceptance_until_it_has_ended() {
        let start = Instant::now();
        let mut customer = Customer::new(0, start);
        let (one, other) = (OrderId::new_v7(), OrderId::new_v7());
        customer.reserve(one, 3, start);
        customer.accept(one, start);
        customer.reserve(other, 2, start);
        assert_eq!(customer.load(start), Load { orders: 2, drinks: 5 });
        customer.release(other);
        let later = start + Duration::from_secs(1);
        // The database has not stored it yet, and has another one.
        customer.answer(Load { orders: 1, drinks: 1 }, |_| false, later);
        assert_eq!(customer.load(later), Load { orders: 2, drinks: 4 });
        customer.answer(Load { orders: 2, drinks: 4 }, |id| id == one, later);
        assert_eq!(customer.load(later), Load { orders: 2, drinks: 4 });
        assert!(!customer.is_idle(later));
        customer.answer(Load::default(), |_| false, later);
        assert!(customer.is_idle(later) && customer.load(later) == Load::default());
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_knows_counts_for_a_time() {
        let start = Instant::now();
        let mut customer = Customer::new(0, start);
        let (undecided, accepted) = (OrderId::new_v7(), OrderId::new_v7());
        customer.reserve(undecided, 1, start);
        customer.reserve(accepted, 1, start);
        customer.accept(accepted, start);
        for (seconds, counted) in [(59, 2), (61, 1), (3599, 1), (3601, 0)] {
            let at = start + Duration::from_secs(seconds);
            customer.attempts(at);
            assert_eq!(customer.load(at).orders, counted, "after {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_only_while_it_is_fresh() {
        let start = Instant::now();
        let mut customer = Customer::new(0, start);
        customer.answer(Load { orders: 10, drinks: 10 }, |_| false, start);
        assert_eq!(customer.load(start + Duration::from_secs(4)).orders, 10);
        assert_eq!(customer.load(start + Duration::from_secs(5)).orders, 0);
    }
}
