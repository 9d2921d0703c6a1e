//! Readiness of consuming: finds out whether a process still receives messages.

use crate::broker::topology::Source;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Longest time that a subscription may go without a new consumer: twice the lifetime of one.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(10);

/// The state of a process's subscriptions. Clones share it.
#[derive(Clone)]
pub(crate) struct Reception(Arc<Mutex<[State; 2]>>);

#[derive(Debug, Clone, Copy)]
enum State {
    /// No messages are being handled. At this time the subscription last waited for some.
    Waiting(Instant),
    /// Messages are being handled, and more are asked for only afterwards.
    Handling,
}

impl Reception {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new([State::Waiting(Instant::now()); 2])))
    }

    /// Returns the part for a new subscription to report to.
    pub(crate) fn of(&self, source: Source) -> SourceReception {
        let reception = SourceReception { reception: self.clone(), source };
        reception.waiting();
        reception
    }

    /// Returns a queue whose subscription has neither waited for messages nor handled any for too long.
    pub(crate) fn silent(&self) -> Option<Source> {
        let [orders, overrun] = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_silent = |state| matches!(state, State::Waiting(since) if since.elapsed() > SILENCE_TIMEOUT);
        if is_silent(orders) { Some(Source::Orders) } else { is_silent(overrun).then_some(Source::Overrun) }
    }

    fn set(&self, source: Source, state: State) {
        let [orders, overrun] = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match source {
            Source::Orders => *orders = state,
            Source::Overrun => *overrun = state,
        }
    }
}

/// The state of the subscription to one queue. Dropping it starts the time in which a new subscription must begin.
pub(crate) struct SourceReception {
    reception: Reception,
    source: Source,
}

impl SourceReception {
    /// Notes that the subscription waits for messages now.
    pub(crate) fn waiting(&self) {
        self.reception.set(self.source, State::Waiting(Instant::now()));
    }

    /// Notes that messages are being handled.
    pub(crate) fn handling(&self) {
        self.reception.set(self.source, State::Handling);
    }
}

impl Drop for SourceReception {
    fn drop(&mut self) {
        self.waiting();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_queue_without_a_consumer_is_noticed_and_one_whose_messages_are_handled_is_not() {
        let reception = Reception::new();
        let (orders, overrun) = (reception.of(Source::Orders), reception.of(Source::Overrun));
        tokio::time::advance(SILENCE_TIMEOUT).await;
        assert_eq!(reception.silent(), None);
        orders.handling();
        overrun.waiting();
        tokio::time::advance(SILENCE_TIMEOUT).await;
        assert_eq!(reception.silent(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(reception.silent(), Some(Source::Overrun));
        drop((orders, overrun));
        assert_eq!(reception.silent(), None);
    }
}
