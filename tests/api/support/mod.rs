//! A bar for each test, and people who use it.

pub mod bar;
pub mod broker;
pub mod database;
pub mod events;
pub mod executable;
pub mod installation;
pub mod log;
pub mod nginx;
pub mod person;
pub mod pgbouncer;
pub mod proxy;
pub mod raw;

pub use bar::Bar;
pub use database::DatabaseKind::{self, PostgreSql, Sqlite};
pub use person::Person;

use std::time::Duration;
use tokio::time::{Instant, interval};

/// Timeout of waiting for something that must happen, on a busy machine.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Polls until there is an answer. Panics with `what` if there is none in time.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    let mut again = interval(Duration::from_millis(20));
    while Instant::now() < deadline {
        again.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
    }
    panic!("timeout after {} s: {what}", WAIT_TIMEOUT.as_secs());
}
