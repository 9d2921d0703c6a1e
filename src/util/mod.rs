//! Parts without a subject of their own: secrets, replies between threads, supervised tasks.

pub mod fault_injection;
pub mod reply_channel;
pub mod secrets;
pub mod supervised_tasks;
pub mod work_start;
