//! The log, on standard error: standard output is for the results of commands.

use super::{
    client_noise::{ClientNoiseFilter, malformed_requests},
    one_line::OneLine,
};
use crate::{
    config::{LogArgs, LogFormat},
    domain::now,
};
use serde_json::json;
use std::{
    fmt,
    io::IsTerminal,
    panic, process,
    sync::{Mutex, OnceLock, PoisonError, mpsc},
    thread,
    time::Duration,
};
use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, LevelFilter, filter_fn},
    fmt::layer,
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

const DEFAULT_FILTER: &str = "warn,shakerqueue=info";

/// Targets that never log below `info`, whatever `RUST_LOG` says: there they log the values in statements, password hashes among
/// them, or the collector's address and key.
const SECRETIVE_TARGETS: [&str; 4] =
    ["tokio_postgres::query", "ureq", "opentelemetry-otlp", "opentelemetry_otlp"];
/// Lines that wait for a slow reader; further ones are dropped.
const MAX_BUFFERED_LINES: usize = 16_384;

/// The longest wait for the last lines of a process that exits at once: their reader may hang.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The format of the line that gives the reason for a failed exit.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();
/// Flushes the log when it is dropped.
static WRITER: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// Flushes the log when it is dropped.
#[must_use]
pub struct LogFlush(());

impl Drop for LogFlush {
    fn drop(&mut self) {
        flush();
    }
}

/// The end of `--help`.
pub const HELP: &str = "RUST_LOG selects the lines of the log, on standard error [default: warn,shakerqueue=info]. \
                        For one line per request: warn,shakerqueue=info,access=debug";

/// Starts logging as `RUST_LOG` says; unset: from `info` up, and from `warn` up for libraries.
pub fn start(logging: LogArgs) -> LogFlush {
    let directives = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| DEFAULT_FILTER.to_owned());
    let parsed = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).parse(&directives);
    let is_invalid = parsed.is_err();
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let filter = filter
        .and(filter_fn(is_harmless).with_max_level_hint(LevelFilter::TRACE))
        .and(ClientNoiseFilter::new(&directives));
    let colours = std::io::stderr().is_terminal();
    // A log that can't be written (a full disk, a reader that is gone or slow) must not stop the process.
    let writer = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(MAX_BUFFERED_LINES);
    let (writer, guard) = writer.finish(std::io::stderr());
    *WRITER.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    let _ = FORMAT.set(logging.log_format);
    let lines = layer().log_internal_errors(false);
    let lines = match logging.log_format {
        LogFormat::Text => {
            lines.with_writer(move || OneLine::new(writer.clone(), colours)).with_ansi(colours).boxed()
        }
        LogFormat::Json => {
            panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
            let lines = lines.with_writer(writer).with_ansi(false).json();
            lines.flatten_event(true).with_current_span(false).boxed()
        }
    };
    // Fails where another test of this process has started it.
    let _ = registry().with(malformed_requests()).with(lines.with_filter(filter)).try_init();
    if is_invalid {
        tracing::warn!("failed to parse RUST_LOG; logging with {DEFAULT_FILTER}");
    }
    LogFlush(())
}

fn flush() {
    // Taken out first, so that nobody waits for the lock during the flush.
    let guard = WRITER.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(guard);
}

fn is_harmless(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO
        || !SECRETIVE_TARGETS.iter().any(|target| metadata.target().starts_with(target))
}

/// Prints the reason for a failed exit in the format of the log, whatever `RUST_LOG` says.
pub fn report_failure(failure: &dyn fmt::Display) {
    match FORMAT.get().copied().unwrap_or(LogFormat::Text) {
        LogFormat::Text => eprintln!("shakerqueue: {failure}"),
        LogFormat::Json => {
            let line = json!({ "timestamp": now(), "level": "ERROR", "message": failure.to_string() });
            eprintln!("{line}");
        }
    }
}

/// Reports a failure and exits at once, for when tasks can't be relied on to stop.
pub fn exit_with_failure(failure: String) -> ! {
    exit_after(move || report_failure(&failure), EXIT_FAILURE)
}

/// Flushes the log and exits at once.
pub fn exit(code: i32) -> ! {
    exit_after(|| {}, code)
}

const EXIT_FAILURE: i32 = 1;

fn exit_after(report: impl FnOnce() + Send + 'static, code: i32) -> ! {
    let (done, reported) = mpsc::sync_channel(1);
    // On a thread of its own: standard error may be a pipe that nobody reads.
    let reporting = thread::Builder::new().spawn(move || {
        flush();
        report();
        let _ = done.send(());
    });
    if reporting.is_ok() {
        let _ = reported.recv_timeout(FLUSH_TIMEOUT);
    }
    process::exit(code)
}
