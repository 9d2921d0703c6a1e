//! Logs, to standard error: standard output belongs to what a command answers. And what ties them to requests.

use std::{io::IsTerminal, sync::Arc};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// What is logged unless `RUST_LOG` says otherwise.
const USUAL: &str = "warn,shakerqueue=info";

/// Never more than this, whatever was asked for: below that it tells the values in statements, password hashes among them.
const DISCREET: &str = "tokio_postgres::query=info";

/// How to set it, for `--help`.
pub const HELP: &str = "RUST_LOG says what is logged, to standard error [default: warn,shakerqueue=info]";

/// Starts logging. `RUST_LOG` says what; unset: from `info` up, and from the libraries from `warn` up.
pub fn start() {
    let usual = || EnvFilter::new(USUAL);
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .try_from_env()
        .unwrap_or_else(|_| usual());
    let filter = DISCREET.parse().into_iter().fold(filter, EnvFilter::add_directive);
    // It can only be started once; a test may have been first.
    let colours = std::io::stderr().is_terminal();
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        // A log that can't be written (a full disk, a reader that left) must not stop the bar: telling so would panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .try_init();
}

tokio::task_local! {
    /// What the request is called that this task answers.
    static REQUEST: Arc<str>;
}

/// What the request is called that this is done for, if it is done for one.
pub fn request() -> Option<Arc<str>> {
    REQUEST.try_with(Arc::clone).ok()
}

/// Work that is done for this request, if any, also where it is given to another task.
pub async fn for_request<T>(request: Option<Arc<str>>, work: impl Future<Output = T>) -> T {
    match request {
        Some(request) => REQUEST.scope(request, work).await,
        None => work.await,
    }
}
