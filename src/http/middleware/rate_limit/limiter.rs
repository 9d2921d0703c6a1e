//! One policy, and what is left of its quota for each account or address.

use crate::config::Policy;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore},
};
use quick_cache::sync::Cache;
use std::{convert::Infallible, num::NonZeroU32, sync::Arc, time::Duration};

/// Accounts or addresses that a policy tracks, at about 120 bytes each. Beyond that it forgets those that did not come again: an
/// attacker with many addresses mostly pushes out his own.
const MAX_TRACKED_CLIENTS: usize = 16_384;

/// The window of a policy's quota.
pub const WINDOW_SECONDS: u32 = 60;

/// Limits requests under one policy.
pub struct PolicyLimiter {
    pub policy: Policy,
    /// The quota and its multiples, all over the same cells, which say what part of a minute is used up: a client that gets
    /// another multiple keeps that part. The smallest comes first.
    pub shares: Box<[Share]>,
}

/// One multiple of a policy's quota.
pub struct Share {
    limiter: RateLimiter<u128, Cells, MonotonicClock, StateInformationMiddleware>,
    /// Requests in a minute, and the most at once.
    pub per_minute: NonZeroU32,
    /// The text of the header `RateLimit` before and after the number of requests that are left.
    pub header_parts: [String; 2],
}

impl PolicyLimiter {
    /// Creates a limiter whose quota may become up to `max_shares` times as large.
    pub fn new(policy: Policy, max_shares: u32) -> Self {
        let cells = Arc::new(Cache::new(MAX_TRACKED_CLIENTS));
        let multiples = (1..=max_shares.max(1)).filter_map(NonZeroU32::new);
        let shares = multiples.map(|multiple| {
            Share::new(policy.name, policy.per_minute.saturating_mul(multiple), Cells(Arc::clone(&cells)))
        });
        Self { policy, shares: shares.collect() }
    }

    /// Returns this multiple of the quota, or the largest.
    pub fn share(&self, multiple: usize) -> Option<&Share> {
        self.shares.get(multiple.saturating_sub(1)).or(self.shares.last())
    }
}

impl Share {
    fn new(name: &str, per_minute: NonZeroU32, cells: Cells) -> Self {
        // One after the other in even steps, and all at once for a client that was quiet for a minute.
        let limiter = RateLimiter::new(Quota::per_minute(per_minute), cells, MonotonicClock);
        // After at most these seconds one more request is allowed.
        let step_seconds = WINDOW_SECONDS.div_ceil(per_minute.get());
        let header_parts = [format!("\"{name}\";r="), format!(";t={step_seconds}")];
        Self { limiter, per_minute, header_parts }
    }

    /// Counts one request; returns how many are left, or the time until the next one is allowed.
    pub fn take(&self, key: u128) -> Result<u32, Duration> {
        match self.limiter.check_key(&key) {
            Ok(left) => Ok(left.remaining_burst_capacity()),
            Err(refused) => Err(refused.wait_time_from(self.limiter.clock().now())),
        }
    }
}

/// Governor's state of each client, bounded in number.
struct Cells(Arc<Cache<u128, Arc<InMemoryState>>>);

impl StateStore for Cells {
    type Key = u128;

    fn measure_and_replace<T, F, E>(&self, key: &u128, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let Ok(cell) = self.0.get_or_insert_with(key, || Ok::<_, Infallible>(Arc::default()));
        cell.measure_and_replace(&NotKeyed::NonKey, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BudgetOwner, RateLimits, RouteClass};

    fn budget(per_minute: u32) -> PolicyLimiter {
        let limits: RateLimits =
            format!("ordering={per_minute}").parse().unwrap_or_else(|error| panic!("{error}"));
        let ordering =
            |policy: &&Policy| policy.kind == RouteClass::Ordering && policy.whose == BudgetOwner::Account;
        PolicyLimiter::new(*limits.policies().iter().find(ordering).expect("a policy"), 4)
    }

    fn take(budget: &PolicyLimiter, multiple: usize, whose: u128) -> Result<u32, Duration> {
        budget.share(multiple).expect("a share").take(whose)
    }

    #[test]
    fn a_budget_is_somebodys_own() {
        let budget = budget(3);
        assert_eq!([take(&budget, 1, 1), take(&budget, 1, 1), take(&budget, 1, 1)], [Ok(2), Ok(1), Ok(0)]);
        let wait = take(&budget, 1, 1).expect_err("none is left");
        assert!(wait > Duration::from_secs(18) && wait <= Duration::from_secs(20), "{wait:?}");
        assert_eq!(take(&budget, 1, 2), Ok(2));
        assert_eq!(budget.share(1).expect("a share").header_parts, ["\"ordering\";r=", ";t=20"]);
    }

    #[test]
    fn one_that_grows_keeps_the_part_of_it_that_is_used_up_and_has_a_ceiling() {
        let budget = budget(10);
        for _ in 0..5 {
            take(&budget, 1, 1).expect("there are ten");
        }
        // Half of it is left, whatever it is: of forty that is twenty.
        let left = take(&budget, 4, 1).expect("half of it");
        assert!((19..=20).contains(&left), "{left}");
        while take(&budget, 4, 1).is_ok() {}
        assert!(take(&budget, 1, 1).is_err());
        let grown = budget.share(4).expect("a share");
        assert_eq!((grown.per_minute.get(), &grown.header_parts[1]), (40, &";t=2".to_owned()));
        assert_eq!(budget.share(1000).expect("a share").per_minute.get(), 40);
        let let_in = (0..1000).filter(|_| take(&budget, 1000, 2).is_ok()).count();
        assert!((40..=41).contains(&let_in), "{let_in}");
    }

    #[test]
    fn memory_is_bounded_and_those_who_come_again_are_not_forgotten() {
        let budget = budget(1);
        let often = u128::MAX;
        while take(&budget, 1, often).is_ok() {}
        for stranger in 0..20 * MAX_TRACKED_CLIENTS as u128 {
            let multiple = if stranger.is_multiple_of(2) { 1 } else { 4 };
            assert!(take(&budget, multiple, stranger).is_ok());
            if stranger % 100 == 0 {
                assert!(take(&budget, 1, often).is_err(), "forgotten after {stranger}");
            }
        }
        for share in budget.shares {
            assert!(share.limiter.into_state_store().0.len() <= MAX_TRACKED_CLIENTS);
        }
    }

    #[test]
    fn of_many_at_once_exactly_as_many_are_let_in_as_may() {
        let budget = budget(50);
        let let_in: usize = std::thread::scope(|scope| {
            let one = || (0..100).filter(|_| take(&budget, 1, 7).is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(let_in, 50);
    }
}
