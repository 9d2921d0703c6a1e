//! How amqprs is called: on the broker's own runtime, to the end, and with a deadline.

use std::time::Duration;

use rand::random_range;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::QueueError;
use crate::telemetry::log_throttle;

/// How long one request to the broker may take.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// The shortest and the longest pause between two attempts: short, because publishing resumes after the last of them.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// The longest pause after the server refused what it was asked. It will refuse it again until somebody
/// changes something there, and each time costs a channel.
const MAX_REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// Runs a call of amqprs in a task of its own on `runtime` and waits for it at most `limit`.
///
/// The task is never cancelled: a call dropped half-way makes amqprs' own tasks panic. It ends with its connection at
/// the latest.
pub(super) async fn call<T: Send + 'static>(
    runtime: &Handle,
    what: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, amqprs::error::Error>> + Send + 'static,
) -> Result<T, QueueError> {
    match timeout(limit, runtime.spawn(call)).await {
        Ok(Ok(answer)) => answer.map_err(|cause| QueueError::Failed { what, cause }),
        // The call panicked, or the runtime is going down.
        Ok(Err(_)) => Err(QueueError::NotConnected),
        Err(_) => Err(QueueError::TimedOut(what)),
    }
}

/// A connection or channel of amqprs, dropped inside the runtime: its destructor spawns a task, and elsewhere
/// would panic.
pub(super) struct OnRuntime<T> {
    value: Option<T>,
    runtime: Handle,
}

impl<T> OnRuntime<T> {
    pub(super) fn new(value: T, runtime: Handle) -> Self {
        Self { value: Some(value), runtime }
    }

    pub(super) fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    pub(super) fn take(&mut self) -> Option<T> {
        self.value.take()
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

impl<T> Drop for OnRuntime<T> {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        drop(self.value.take());
    }
}

/// Growing pauses between attempts, with jitter so that many processes do not return at once.
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: PAUSE.0 }
    }

    pub(super) fn pause(&mut self) -> Duration {
        self.pause_up_to(PAUSE.1)
    }

    /// The pause after this error.
    pub(super) fn pause_after(&mut self, error: &QueueError) -> Duration {
        self.pause_up_to(if matches!(error, QueueError::Refused { .. }) {
            MAX_REFUSED_PAUSE
        } else {
            PAUSE.1
        })
    }

    fn pause_up_to(&mut self, longest: Duration) -> Duration {
        let pause = self.next.min(longest);
        self.next = pause.saturating_mul(2).min(longest);
        pause.mul_f64(random_range(0.5..1.0))
    }
}

/// Logs a failed attempt; one that fails like an earlier one once a minute.
pub(super) fn log_failed(connection: &str, error: &QueueError) {
    let error = error.to_string();
    if let Some(repeated) = log_throttle::admit(&error) {
        tracing::warn!(connection, error, repeated, "failed to use the broker; trying again");
    } else {
        tracing::debug!(connection, error, "the broker still cannot be used");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        let mut backoff = Backoff::new();
        assert!(backoff.pause() <= PAUSE.0);
        let last = (0..20).map(|_| backoff.pause()).last();
        assert!(last.is_some_and(|pause| pause >= PAUSE.1 / 2 && pause <= PAUSE.1), "{last:?}");
        let refused = QueueError::Refused { what: "declare the queues", reason: "406".into() };
        let last = (0..20).map(|_| backoff.pause_after(&refused)).last();
        assert!(last.is_some_and(|pause| pause >= MAX_REFUSED_PAUSE / 2), "{last:?}");
        assert!(backoff.pause_after(&QueueError::NotConnected) <= PAUSE.1);
    }
}
