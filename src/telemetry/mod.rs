//! Logs, metrics and traces, and the scope that ties them to requests.

mod client_noise;
pub mod log_throttle;
mod logs;
pub mod metrics;
mod one_line;
mod otlp_client;
pub mod traces;

pub use client_noise::report_unlogged;
pub use logs::{HELP, LogFlush, exit, exit_with_failure, report_failure, start};
pub use otlp_client::http_agent;

use std::sync::Arc;
use traces::TraceContext;

tokio::task_local! {
    static SCOPE: Scope;
}

/// The request that a task works for. It must be passed on explicitly to other tasks.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub request_id: Option<Arc<str>>,
    pub trace: TraceContext,
}

impl Scope {
    pub fn current() -> Self {
        SCOPE.try_with(Clone::clone).unwrap_or_default()
    }

    #[must_use]
    pub fn with_trace(self, trace: TraceContext) -> Self {
        Self { trace, ..self }
    }

    /// Runs work in this scope.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> T {
        SCOPE.scope(self, work).await
    }
}

/// The id of the request that the present task works for.
pub fn request_id() -> Option<Arc<str>> {
    SCOPE.try_with(|scope| scope.request_id.clone()).ok().flatten()
}
