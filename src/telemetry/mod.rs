//! Logs, metrics and traces, and what ties them to requests.

mod client_noise;
pub mod log_throttle;
mod logs;
pub mod metrics;
mod one_line;
mod otlp_client;
pub mod traces;

pub use client_noise::report_unlogged;
pub use logs::{HELP, LogFlush, exit, exit_with_failure, failed, start};

use std::sync::Arc;
use traces::TraceContext;

tokio::task_local! {
    static SCOPE: Scope;
}

/// What something is done for, also where it is given to another task.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// What the request is called, if it is done for one.
    pub request: Option<Arc<str>>,
    /// Where it is in a trace, if it is in one.
    pub place: TraceContext,
}

impl Scope {
    /// Of the present task.
    pub fn current() -> Self {
        SCOPE.try_with(Clone::clone).unwrap_or_default()
    }

    /// The same, at another place in its trace.
    #[must_use]
    pub fn at(self, place: TraceContext) -> Self {
        Self { place, ..self }
    }

    /// Work that is done for this.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> T {
        SCOPE.scope(self, work).await
    }
}

/// What the request is called that this is done for, if it is done for one.
pub fn request() -> Option<Arc<str>> {
    SCOPE.try_with(|scope| scope.request.clone()).ok().flatten()
}
