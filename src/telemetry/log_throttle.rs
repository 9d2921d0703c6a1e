//! Logs a repeated failure at most once a minute, with the number of times that it was left out.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// Failures that are told apart. The one logged longest ago makes room for another.
const MAX_FAILURES: usize = 32;

static RECENT: LogThrottle = LogThrottle::new();

/// Returns how often the failure was left out of the log since the last time, if it is to be logged now.
pub fn admit(failure: &str) -> Option<u64> {
    RECENT.admit(failure, Instant::now())
}

struct LogThrottle(Mutex<VecDeque<LoggedFailure>>);

struct LoggedFailure {
    text: String,
    logged_at: Instant,
    unlogged: u64,
}

impl LogThrottle {
    const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    fn admit(&self, text: &str, now: Instant) -> Option<u64> {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unlogged = match failures.iter().position(|failure| failure.text == text) {
            Some(known) => {
                let failure = failures.get_mut(known)?;
                if now.saturating_duration_since(failure.logged_at) < LOG_INTERVAL {
                    failure.unlogged += 1;
                    return None;
                }
                failures.remove(known)?.unlogged
            }
            None => 0,
        };
        failures.truncate(MAX_FAILURES - 1);
        failures.push_front(LoggedFailure { text: text.to_owned(), logged_at: now, unlogged: 0 });
        Some(unlogged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_logged_once_a_minute_and_others_are_not_held_back_by_it() {
        let (throttle, start) = (LogThrottle::new(), Instant::now());
        assert_eq!(throttle.admit("one", start), Some(0));
        assert_eq!(throttle.admit("one", start), None);
        assert_eq!(throttle.admit("another", start), Some(0));
        assert_eq!(throttle.admit("one", start + LOG_INTERVAL / 2), None);
        assert_eq!(throttle.admit("one", start + LOG_INTERVAL), Some(2));
        assert_eq!(throttle.admit("one", start + LOG_INTERVAL), None);
    }

    #[test]
    fn of_more_failures_than_are_told_apart_the_latest_are_known() {
        let (throttle, start) = (LogThrottle::new(), Instant::now());
        for number in 0..=MAX_FAILURES {
            assert_eq!(throttle.admit(&number.to_string(), start), Some(0));
        }
        assert_eq!(throttle.admit("0", start), Some(0));
        assert_eq!(throttle.admit(&MAX_FAILURES.to_string(), start), None);
    }
}
