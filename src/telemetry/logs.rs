//! Logs, to standard error: standard output belongs to what a command answers.

use crate::{
    config::{LogFormat, Logging},
    domain::now,
};
use serde_json::json;
use std::{fmt, io::IsTerminal, panic};
use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{LevelFilter, filter_fn},
    fmt::layer,
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

/// What is logged unless `RUST_LOG` says otherwise.
const USUAL: &str = "warn,shakerqueue=info";

/// Those of which never more than `info` is told, whatever was asked for: below that they tell the values in statements, password
/// hashes among them, or the collector's address and key.
const DISCREET: [&str; 4] = ["tokio_postgres::query", "ureq", "opentelemetry-otlp", "opentelemetry_otlp"];
/// How many lines wait at most for who reads them: beyond that they are dropped.
const MOST_LINES: usize = 16_384;

/// How to set it, for `--help`.
pub const HELP: &str = "RUST_LOG says what is logged, to standard error [default: warn,shakerqueue=info]. Each request that was \
                        answered, on a line: warn,shakerqueue=info,access=debug";

/// Starts logging, until what it returns is dropped. `RUST_LOG` says what; unset: from `info` up, and from the libraries from
/// `warn` up.
pub fn start(logging: Logging) -> WorkerGuard {
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| USUAL.to_owned());
    let understood = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).parse(asked);
    let is_wrong = understood.is_err();
    let filter = understood.unwrap_or_else(|_| EnvFilter::new(USUAL));
    let colours = std::io::stderr().is_terminal();
    // A log that can't be written (a full disk, a reader that left or takes its time) must not stop the bar.
    let writer = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(MOST_LINES);
    let (writer, written) = writer.finish(std::io::stderr());
    let lines = layer().log_internal_errors(false).with_writer(writer);
    let lines = match logging.log_format {
        LogFormat::Text => lines.with_ansi(colours).boxed(),
        LogFormat::Json => {
            panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
            lines.with_ansi(false).json().flatten_event(true).with_current_span(false).boxed()
        }
    };
    // It can only be started once; a test may have been first.
    let _ = registry().with(filter_fn(is_discreet)).with(filter).with(lines).try_init();
    if is_wrong {
        tracing::warn!("RUST_LOG can't be read; the log is as usual");
    }
    written
}

fn is_discreet(about: &Metadata<'_>) -> bool {
    *about.level() <= Level::INFO || !DISCREET.iter().any(|target| about.target().starts_with(target))
}

/// Says why a role ended, in the form that the log has.
pub fn failed(logging: Logging, failure: &dyn fmt::Display) {
    match logging.log_format {
        LogFormat::Text => eprintln!("shakerqueue: {failure}"),
        // Also where nothing is logged.
        LogFormat::Json => {
            let line = json!({ "timestamp": now(), "level": "ERROR", "message": failure.to_string() });
            eprintln!("{line}");
        }
    }
}
