//! Tools without a subject of their own: backoff, secrets, replies between threads, supervised tasks.

pub mod backoff;
pub mod fault_injection;
pub mod reply_channel;
pub mod secrets;
pub mod supervised_tasks;
pub mod work_start;
