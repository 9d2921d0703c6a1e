//! Calls of amqprs: on the broker's own runtime, never cancelled, and with a timeout.

use super::error::QueueError;
use crate::{telemetry::log_throttle, util::backoff::Backoff};
use std::time::Duration;
use tokio::{runtime::Handle, time::timeout};

pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// Short delays, because publishing goes on only after the last of them.
pub(super) const BROKER_BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
/// Longest delay after the server refused a request. It refuses it again until somebody changes something there, and each refusal
/// costs a channel.
const MAX_REFUSED_DELAY: Duration = Duration::from_secs(5);

/// Runs a call of amqprs in a task of its own on `runtime`, and waits for it until `limit`.
///
/// The task is never cancelled, because a call that is dropped half-way makes amqprs' own tasks panic. It ends with its connection
/// at the latest.
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

/// A connection or channel of amqprs. It is dropped inside the runtime, because its destructor spawns a task and would panic
/// elsewhere.
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

/// Returns the delay before the next attempt after this error.
pub(super) fn delay_after(backoff: &mut Backoff, error: &QueueError) -> Duration {
    match error {
        QueueError::Refused { .. } => backoff.next_delay_up_to(MAX_REFUSED_DELAY),
        _ => backoff.next_delay(),
    }
}

/// Logs a failed attempt, and the same failure again once a minute.
pub(super) fn log_failed(connection: &str, error: &QueueError) {
    let error = error.to_string();
    if let Some(repeated) = log_throttle::admit(&error) {
        tracing::warn!(connection, error, repeated, "failed to use the broker; trying again");
    } else {
        tracing::debug!(connection, error, "the broker still cannot be used");
    }
}
