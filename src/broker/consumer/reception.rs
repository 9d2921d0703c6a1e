//! Tells whether a process receives what is delivered to it, for its readiness.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::broker::topology::Source;

/// The time that a subscription may be without a new consumer: twice as long as one is relied on.
const MAX_SILENCE: Duration = Duration::from_secs(10);

/// The subscriptions of one process. Cheap to clone; each clone tells the same.
#[derive(Clone)]
pub(crate) struct Reception(Arc<Mutex<[State; 2]>>);

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing that was received is being handled. Messages would arrive at that time, or were about to.
    Waiting(Instant),
    /// Somebody handles what was received, and asks for more only afterwards.
    Handling,
}

impl Reception {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new([State::Waiting(Instant::now()); 2])))
    }

    /// Returns the one that a subscription to that queue, just opened, reports to.
    pub(crate) fn of(&self, source: Source) -> SourceReception {
        let reception = SourceReception { reception: self.clone(), source };
        reception.waiting();
        reception
    }

    /// The queue of which nothing would have arrived for too long.
    pub(crate) fn silent(&self) -> Option<Source> {
        let [orders, overrun] = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_silent = |state| matches!(state, State::Waiting(since) if since.elapsed() > MAX_SILENCE);
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

/// The subscription to one queue. It counts as without messages from when this is dropped.
pub(crate) struct SourceReception {
    reception: Reception,
    source: Source,
}

impl SourceReception {
    /// Notes that messages would arrive now.
    pub(crate) fn waiting(&self) {
        self.reception.set(self.source, State::Waiting(Instant::now()));
    }

    /// Notes that somebody handles messages.
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
        tokio::time::advance(MAX_SILENCE).await;
        assert_eq!(reception.silent(), None);
        orders.handling();
        overrun.waiting();
        tokio::time::advance(MAX_SILENCE).await;
        assert_eq!(reception.silent(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(reception.silent(), Some(Source::Overrun));
        drop((orders, overrun));
        assert_eq!(reception.silent(), None);
    }
}
