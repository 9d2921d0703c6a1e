//! Faults that tests ask a debug build for, through its environment. A release build reads none of these variables.

use std::{env, time::Duration};

/// Adds a route whose handler blocks its thread.
const BLOCKING_ROUTE: &str = "SHAKERQUEUE_FAULT_BLOCKING_ROUTE";
/// Replaces the time after which a stalled HTTP thread ends the process, in seconds.
const STALL_EXIT_SECONDS: &str = "SHAKERQUEUE_FAULT_STALL_EXIT_SECONDS";

/// Ends the background task of this name as soon as it begins.
const ENDING_TASK: &str = "SHAKERQUEUE_FAULT_ENDING_TASK";

/// Returns whether there is a route whose handler blocks its thread.
pub fn has_blocking_route() -> bool {
    requested(BLOCKING_ROUTE).is_some()
}

/// Returns the time after which a stalled HTTP thread ends the process, where a test shortens it.
pub fn stall_exit_timeout() -> Option<Duration> {
    Some(Duration::from_secs(requested(STALL_EXIT_SECONDS)?.parse().ok()?))
}

/// Returns whether the background task of this name ends as soon as it begins.
pub fn ends_task(name: &str) -> bool {
    requested(ENDING_TASK).is_some_and(|task| task == name)
}

fn requested(variable: &str) -> Option<String> {
    if cfg!(debug_assertions) { env::var(variable).ok() } else { None }
}
