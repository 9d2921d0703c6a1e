//! Logs, to standard error: standard output belongs to what a command answers.

use crate::config::{LogFormat, Logging};
use std::{fmt, io::IsTerminal};
use tracing_subscriber::{
    EnvFilter, Layer, filter::LevelFilter, fmt::layer, layer::SubscriberExt, registry,
    util::SubscriberInitExt,
};

/// What is logged unless `RUST_LOG` says otherwise.
const USUAL: &str = "warn,shakerqueue=info";

/// Never more than this, whatever was asked for: below that it tells the values in statements, password hashes among them.
const DISCREET: &str = "tokio_postgres::query=info";

/// How to set it, for `--help`.
pub const HELP: &str = "RUST_LOG says what is logged, to standard error [default: warn,shakerqueue=info]. Each request that was \
                        answered, on a line: warn,shakerqueue=info,access=debug";

/// Starts logging. `RUST_LOG` says what; unset: from `info` up, and from the libraries from `warn` up.
pub fn start(logging: Logging) {
    let usual = || EnvFilter::new(USUAL);
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .try_from_env()
        .unwrap_or_else(|_| usual());
    let filter = DISCREET.parse().into_iter().fold(filter, EnvFilter::add_directive);
    let colours = std::io::stderr().is_terminal();
    // A log that can't be written (a full disk, a reader that left) must not stop the bar: telling so would panic.
    let lines = layer().log_internal_errors(false).with_writer(std::io::stderr);
    let lines = match logging.log_format {
        LogFormat::Text => lines.with_ansi(colours).boxed(),
        LogFormat::Json => lines.with_ansi(false).json().flatten_event(true).with_current_span(false).boxed(),
    };
    // It can only be started once; a test may have been first.
    let _ = registry().with(filter).with(lines).try_init();
}

/// Says why a role ended, in the form that the log has.
pub fn failed(logging: Logging, failure: &dyn fmt::Display) {
    match logging.log_format {
        LogFormat::Text => eprintln!("shakerqueue: {failure}"),
        LogFormat::Json => tracing::error!("{failure}"),
    }
}
