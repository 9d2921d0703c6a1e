//! A circuit breaker for publishing: asked before every publish, so that no caller waits for a broker that is not there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// While nothing is confirmed, one message in this interval is admitted to find out whether confirms come again.
const PROBE_INTERVAL: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum CircuitState {
    /// Not connected, or the queues are not declared yet.
    Down,
    Up,
    /// Connected, but nothing is confirmed: most likely a memory or disk alarm.
    Stalled,
    /// Closed for good: this state is final.
    Closed,
}

#[derive(Debug, Clone)]
struct Status {
    state: CircuitState,
    /// The reason why the broker would lose published messages, if it would.
    loses: Option<Arc<str>>,
}

impl Status {
    fn is_up(&self) -> bool {
        self.state == CircuitState::Up && self.loses.is_none()
    }
}

pub(in crate::broker) struct CircuitBreaker {
    status: watch::Sender<Status>,
    started: Instant,
    /// Milliseconds after `started`.
    next_probe: AtomicU64,
}

impl CircuitBreaker {
    pub(in crate::broker) fn new() -> Self {
        Self {
            status: watch::Sender::new(Status { state: CircuitState::Down, loses: None }),
            started: Instant::now(),
            next_probe: AtomicU64::new(0),
        }
    }

    pub(in crate::broker) fn state(&self) -> CircuitState {
        self.status.borrow().state
    }

    /// Returns whether orders can be published and are safe then.
    pub(in crate::broker) fn is_up(&self) -> bool {
        self.status.borrow().is_up()
    }

    /// Returns the reason why the broker would lose published messages, if it would.
    pub(in crate::broker) fn loses(&self) -> Option<Arc<str>> {
        self.status.borrow().loses.clone()
    }

    /// Stops publishing while the broker would lose messages.
    pub(in crate::broker) fn set_loses(&self, why: Option<Arc<str>>) {
        self.status.send_modify(|status| status.loses = why);
    }

    pub(in crate::broker) fn set(&self, new: CircuitState) {
        self.status.send_if_modified(|Status { state, .. }| {
            let change = *state != new && *state != CircuitState::Closed;
            if change {
                *state = new;
            }
            change
        });
    }

    pub(in crate::broker) async fn until_up(&self) {
        // `self` owns the sender, so the wait cannot fail.
        let _ = self.status.subscribe().wait_for(Status::is_up).await;
    }

    /// Returns whether a message may be published now: while stalled, one in each interval may.
    pub(in crate::broker) fn admits(&self) -> bool {
        let (state, loses) = {
            let status = self.status.borrow();
            (status.state, status.loses.is_some())
        };
        match state {
            _ if loses => false,
            CircuitState::Up => true,
            CircuitState::Stalled => self.may_probe(self.started.elapsed()),
            CircuitState::Down | CircuitState::Closed => false,
        }
    }

    fn may_probe(&self, elapsed: Duration) -> bool {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = millis(elapsed);
        let due = self.next_probe.load(Ordering::Relaxed);
        let next = now.saturating_add(millis(PROBE_INTERVAL));
        let swap = || self.next_probe.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        now >= due && swap().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stalled_breaker_admits_one_probe_at_a_time() {
        let breaker = CircuitBreaker::new();
        assert!(!breaker.admits());
        breaker.set(CircuitState::Up);
        assert!(breaker.admits() && breaker.admits());
        let stalled = Duration::from_secs(9);
        assert!(breaker.may_probe(stalled) && !breaker.may_probe(stalled));
        let later = stalled + PROBE_INTERVAL;
        assert!(breaker.may_probe(later) && !breaker.may_probe(later));
    }

    #[test]
    fn nothing_is_admitted_while_it_would_be_lost() {
        let breaker = CircuitBreaker::new();
        breaker.set(CircuitState::Up);
        breaker.set_loses(Some("a policy".into()));
        assert!(!breaker.admits() && !breaker.is_up());
        assert_eq!(breaker.state(), CircuitState::Up, "it still answers");
        breaker.set_loses(None);
        assert!(breaker.admits() && breaker.is_up());
    }

    #[test]
    fn closed_is_final() {
        let breaker = CircuitBreaker::new();
        breaker.set(CircuitState::Closed);
        breaker.set(CircuitState::Up);
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}
