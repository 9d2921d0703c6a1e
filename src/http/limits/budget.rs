//! One policy and what is left of it, for each of those whom it is about.

use crate::config::Policy;
use governor::{
    NotUntil, Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore},
};
use quick_cache::sync::Cache;
use std::{convert::Infallible, sync::Arc, time::Duration};

/// The most that are remembered under one policy, about 120 bytes each. Beyond that those are forgotten that did not come
/// again: an attacker with many addresses mostly pushes out his own.
pub const MOST: usize = 16_384;

/// The seconds of the window in which a policy's quota counts.
pub const WINDOW: u32 = 60;

/// A policy's budgets.
pub struct Budget {
    policy: Policy,
    limiter: RateLimiter<u128, Cells, MonotonicClock, StateInformationMiddleware>,
    said: [String; 2],
}

impl Budget {
    /// Nobody has used any of it.
    pub fn new(policy: Policy) -> Self {
        // One after the other in even steps, and all at once for who was quiet for a minute.
        let quota = Quota::per_minute(policy.per_minute);
        let limiter = RateLimiter::new(quota, Cells(Cache::new(MOST)), MonotonicClock);
        // In so many seconds, at most, one that was taken is there again.
        let step = WINDOW.div_ceil(policy.per_minute.get());
        Self { policy, limiter, said: [format!("\"{}\";r=", policy.name), format!(";t={step}")] }
    }

    /// Which policy it is.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes one: says how many are left, or how long it takes until there is one again.
    pub fn take(&self, whose: u128) -> Result<u32, Duration> {
        match self.limiter.check_key(&whose) {
            Ok(left) => Ok(left.remaining_burst_capacity()),
            Err(not) => Err(self.wait(&not)),
        }
    }

    fn wait(&self, not: &NotUntil<<MonotonicClock as Clock>::Instant>) -> Duration {
        not.wait_time_from(self.limiter.clock().now())
    }

    /// What clients are told around the number that is left.
    pub fn said(&self) -> &[String; 2] {
        &self.said
    }
}

/// What governor remembers of each, bounded.
struct Cells(Cache<u128, Arc<InMemoryState>>);

impl StateStore for Cells {
    type Key = u128;

    fn measure_and_replace<T, F, E>(&self, key: &u128, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let cell = match self.0.get_or_insert_with(key, || Ok::<_, Infallible>(Arc::default())) {
            Ok(cell) => cell,
            Err(never) => match never {},
        };
        cell.measure_and_replace(&NotKeyed::NonKey, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Kind, RateLimits, Whose};

    fn budget(per_minute: u32) -> Budget {
        let limits: RateLimits =
            format!("ordering={per_minute}").parse().unwrap_or_else(|error| panic!("{error}"));
        let ordering = |policy: &&Policy| policy.kind == Kind::Ordering && policy.whose == Whose::Account;
        Budget::new(*limits.policies().iter().find(ordering).expect("a policy"))
    }

    #[test]
    fn a_budget_is_somebodys_own() {
        let budget = budget(3);
        assert_eq!([budget.take(1), budget.take(1), budget.take(1)], [Ok(2), Ok(1), Ok(0)]);
        let wait = budget.take(1).expect_err("none is left");
        assert!(wait > Duration::from_secs(18) && wait <= Duration::from_secs(20), "{wait:?}");
        assert_eq!(budget.take(2), Ok(2));
        assert_eq!(budget.said(), &["\"ordering\";r=", ";t=20"]);
    }

    #[test]
    fn memory_is_bounded_and_those_who_come_again_are_not_forgotten() {
        let budget = budget(1);
        let often = u128::MAX;
        while budget.take(often).is_ok() {}
        for stranger in 0..20 * MOST as u128 {
            assert!(budget.take(stranger).is_ok());
            if stranger % 100 == 0 {
                assert!(budget.take(often).is_err(), "forgotten after {stranger}");
            }
        }
        assert!(budget.limiter.into_state_store().0.len() <= MOST);
    }

    #[test]
    fn of_many_at_once_exactly_as_many_are_let_in_as_may() {
        let budget = budget(50);
        let let_in: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| (0..100).filter(|_| budget.take(7).is_ok()).count())).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(let_in, 50);
    }
}
