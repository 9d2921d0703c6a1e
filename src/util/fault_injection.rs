//! Faults that tests inject into a debug build with environment variables. A release build reads none of them.

use std::{env, time::Duration};

/// Adds a route whose handler blocks its thread.
const BLOCKING_ROUTE: &str = "SHAKERQUEUE_FAULT_BLOCKING_ROUTE";
/// Shortens the timeout after which a stalled HTTP thread ends the process.
const STALL_EXIT_SECONDS: &str = "SHAKERQUEUE_FAULT_STALL_EXIT_SECONDS";
/// Ends the background task of this name as soon as it begins.
const ENDING_TASK: &str = "SHAKERQUEUE_FAULT_ENDING_TASK";

pub fn has_blocking_route() -> bool {
    requested(BLOCKING_ROUTE).is_some()
}

pub fn stall_exit_timeout() -> Option<Duration> {
    Some(Duration::from_secs(requested(STALL_EXIT_SECONDS)?.parse().ok()?))
}

pub fn ends_task(name: &str) -> bool {
    requested(ENDING_TASK).is_some_and(|task| task == name)
}

fn requested(variable: &str) -> Option<String> {
    if cfg!(debug_assertions) { env::var(variable).ok() } else { None }
}
