//! Tools without a subject of their own: backoff, secrets, replies between threads, supervised tasks.

pub mod backoff;
pub mod fault_injection;
pub mod reply_channel;
pub mod secrets;
pub mod supervised_tasks;
pub mod work_start;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, even after a panic of a thread that held it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
