//! The declarations of all metrics, by concern.

mod broker;
mod database;
mod feed;
mod http;
mod orders;
mod process;

pub use broker::*;
pub use database::*;
pub use feed::*;
pub use http::*;
pub use orders::*;
pub use process::*;

/// Buckets for the duration of requests, in seconds, as OpenTelemetry recommends them.
const REQUEST_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Buckets for the duration of one call of the broker or the database.
const CALL_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Buckets for the time from accepting an order to recording it.
const RECORDING_SECONDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];
const BATCH_ORDERS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0];

/// Declares a group: its type, and the function that returns it. The comment on a metric is its help text.
macro_rules! group {
    ($name:ident, $get:ident {
        $(#[doc = $help:literal] $metric:ident: $kind:ty = $declare:ident($series:literal $(, $argument:expr)* $(,)?),)+
    }) => {
        pub struct $name {
            $(#[doc = $help] pub $metric: $kind,)+
        }

        pub fn $get() -> &'static $name {
            static GROUP: std::sync::LazyLock<$name> =
                std::sync::LazyLock::new(|| $name { $($metric: $declare($series, $help.trim() $(, $argument)*),)+ });
            &GROUP
        }
    };
}
use group;
