//! PostgreSQL-specific code: URLs, connections, error codes, and the check of a server at start.

mod address;
mod check;
mod connect;
mod url;
mod wire;

pub use self::url::{UrlError, parse};
pub use address::{ServerAddress, addresses};
pub use check::{Fitness, check};
pub use connect::{ConnectError, is_too_many_connections, last_error, pg_connection};
