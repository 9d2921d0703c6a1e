//! Delays between attempts, with jitter, so that many processes don't try again at the same moment.

use rand::random_range;
use std::time::Duration;

/// Delays that double from a shortest to a longest one.
#[derive(Debug, Clone)]
pub struct Backoff {
    shortest: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub const fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, next: shortest }
    }

    pub fn reset(&mut self) {
        self.next = self.shortest;
    }

    /// Returns the delay before the next attempt, with jitter.
    pub fn next_delay(&mut self) -> Duration {
        self.next_delay_up_to(self.longest)
    }

    /// Returns the delay before the next attempt where an error calls for a longest delay of its own.
    pub fn next_delay_up_to(&mut self, longest: Duration) -> Duration {
        let delay = self.next.min(longest);
        self.next = delay.saturating_mul(2).min(longest);
        jittered(delay)
    }
}

/// Returns between half of a delay and all of it.
pub fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(random_range(0.5..1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(1);

    #[test]
    fn delays_grow_to_their_limit_and_begin_again() {
        let mut backoff = Backoff::new(SHORTEST, LONGEST);
        assert!(backoff.next_delay() <= SHORTEST);
        let last = (0..20).map(|_| backoff.next_delay()).last();
        assert!(last.is_some_and(|delay| delay >= LONGEST / 2 && delay <= LONGEST), "{last:?}");
        let last = (0..20).map(|_| backoff.next_delay_up_to(5 * LONGEST)).last();
        assert!(last.is_some_and(|delay| delay >= 5 * LONGEST / 2), "{last:?}");
        assert!(backoff.next_delay() <= LONGEST);
        backoff.reset();
        assert!(backoff.next_delay() <= SHORTEST);
    }
}
