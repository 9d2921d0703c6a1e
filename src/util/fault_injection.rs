//! Faults that tests inject into a debug build with environment variables. A release build reads none of them.

use std::{env, time::Duration};

/// Adds a route whose handler blocks its thread.
pub fn has_blocking_route() -> bool {
    requested("SHAKERQUEUE_FAULT_BLOCKING_ROUTE").is_some()
}

/// Shortens the timeout after which a stalled HTTP thread ends the process.
pub fn stall_exit_timeout() -> Option<Duration> {
    Some(Duration::from_secs(requested("SHAKERQUEUE_FAULT_STALL_EXIT_SECONDS")?.parse().ok()?))
}

/// Ends the background task of this name as soon as it begins.
pub fn ends_task(name: &str) -> bool {
    requested("SHAKERQUEUE_FAULT_ENDING_TASK").is_some_and(|task| task == name)
}

fn requested(variable: &str) -> Option<String> {
    if cfg!(debug_assertions) { env::var(variable).ok() } else { None }
}
