//! Whether publishing is possible right now: asked before every publish, so that no caller waits for an absent broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// While confirms fail to come, one message in this time is let through to find out whether they come again.
const PROBE_INTERVAL: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CircuitState {
    /// Not connected, or the queues are not declared.
    Down,
    Up,
    /// Connected, but nothing is confirmed: an alarm, most likely.
    Stalled,
    /// For good.
    Closed,
}

/// How publishing stands.
#[derive(Debug, Clone)]
struct Status {
    state: CircuitState,
    /// Why the broker would lose what is published, if it would.
    loses: Option<Arc<str>>,
}

impl Status {
    fn is_up(&self) -> bool {
        self.state == CircuitState::Up && self.loses.is_none()
    }
}

pub(super) struct CircuitBreaker {
    status: watch::Sender<Status>,
    started: Instant,
    /// Milliseconds after `started`.
    next_probe: AtomicU64,
}

impl CircuitBreaker {
    pub(super) fn new() -> Self {
        Self {
            status: watch::Sender::new(Status { state: CircuitState::Down, loses: None }),
            started: Instant::now(),
            next_probe: AtomicU64::new(0),
        }
    }

    pub(super) fn state(&self) -> CircuitState {
        self.status.borrow().state
    }

    /// Whether orders can be published and are safe then.
    pub(super) fn is_up(&self) -> bool {
        self.status.borrow().is_up()
    }

    /// Why the broker would lose what is published, if it would.
    pub(super) fn loses(&self) -> Option<Arc<str>> {
        self.status.borrow().loses.clone()
    }

    /// Stops callers from publishing while there is a reason why the broker would lose their messages.
    pub(super) fn set_loses(&self, why: Option<Arc<str>>) {
        self.status.send_modify(|status| status.loses = why);
    }

    pub(super) fn set(&self, new: CircuitState) {
        self.status.send_if_modified(|Status { state, .. }| {
            let change = *state != new && *state != CircuitState::Closed;
            if change {
                *state = new;
            }
            change
        });
    }

    pub(super) async fn until_up(&self) {
        // The sender is `self`, so that the wait cannot fail.
        let _ = self.status.subscribe().wait_for(Status::is_up).await;
    }

    /// Whether a message may be published now.
    pub(super) fn admits(&self) -> bool {
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
        now >= due
            && self
                .next_probe
                .compare_exchange(
                    due,
                    now.saturating_add(millis(PROBE_INTERVAL)),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stalled_gate_admits_one_probe_at_a_time() {
        let gate = CircuitBreaker::new();
        assert!(!gate.admits());
        gate.set(CircuitState::Up);
        assert!(gate.admits() && gate.admits());
        let stalled = Duration::from_secs(9);
        assert!(gate.may_probe(stalled) && !gate.may_probe(stalled));
        let later = stalled + PROBE_INTERVAL;
        assert!(gate.may_probe(later) && !gate.may_probe(later));
    }

    #[test]
    fn nothing_is_admitted_while_it_would_be_lost() {
        let gate = CircuitBreaker::new();
        gate.set(CircuitState::Up);
        gate.set_loses(Some("a policy".into()));
        assert!(!gate.admits() && !gate.is_up());
        assert_eq!(gate.state(), CircuitState::Up, "it still answers");
        gate.set_loses(None);
        assert!(gate.admits() && gate.is_up());
    }

    #[test]
    fn closed_is_final() {
        let gate = CircuitBreaker::new();
        gate.set(CircuitState::Closed);
        gate.set(CircuitState::Up);
        assert_eq!(gate.state(), CircuitState::Closed);
    }
}
