//! All settings, from flags and from the environment. The comments on them are their texts in `--help`.

mod lifecycle;
mod order_limits;
mod origins;
mod parsers;
mod rate_limits;
mod serve;
mod servers;
#[cfg(test)]
mod setting_tests;
mod sqlite_url;
mod telemetry;
mod trusted_proxies;
mod work;

pub use lifecycle::ShutdownArgs;
pub use order_limits::{OpenOrdersLimit, OrderLimits};
pub use origins::Origin;
pub use rate_limits::{BudgetOwner, Policy, RateLimits, RouteClass};
pub use serve::{MAX_TOKEN_MINUTES, MIN_SECRET_BYTES, ServeArgs, TlsFiles};
pub use servers::{DatabaseArgs, ServerArgs};
pub use sqlite_url::{SqliteUrlError, sqlite_path};
pub use telemetry::{LogArgs, LogFormat, TraceArgs};
pub use trusted_proxies::TrustedProxies;
pub use work::WorkArgs;
