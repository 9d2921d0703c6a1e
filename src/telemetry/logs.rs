//! Logs, to standard error: standard output belongs to what a command answers.

use super::{
    client_noise::{ClientNoiseFilter, malformed_requests},
    one_line::OneLine,
};
use crate::{
    config::{LogFormat, Logging},
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

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_FILTER: &str = "warn,shakerqueue=info";

/// Those of which never more than `info` is told, whatever was asked for: below that they tell the values in statements, password
/// hashes among them, or the collector's address and key.
const DISCREET: [&str; 4] = ["tokio_postgres::query", "ureq", "opentelemetry-otlp", "opentelemetry_otlp"];
/// How many lines wait at most for who reads them: beyond that they are dropped.
const MAX_BUFFERED_LINES: usize = 16_384;

/// The longest that a process which ends at once waits for its last lines to be written. Whoever reads them may be what hangs.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(2);

/// The form of the log, for the line that says why the process ends.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();
/// Writes the lines that wait when it is dropped.
static WRITER: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// Writes the lines that wait when it is dropped.
#[must_use]
pub struct LogFlush(());

impl Drop for LogFlush {
    fn drop(&mut self) {
        flush();
    }
}

/// How to set it, for `--help`.
pub const HELP: &str = "RUST_LOG says what is logged, to standard error [default: warn,shakerqueue=info]. Each request that was \
                        answered, on a line: warn,shakerqueue=info,access=debug";

/// Starts logging, until what it returns is dropped. `RUST_LOG` says what; unset: from `info` up, and from the libraries from
/// `warn` up.
pub fn start(logging: Logging) -> LogFlush {
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| DEFAULT_FILTER.to_owned());
    let understood = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).parse(&asked);
    let is_wrong = understood.is_err();
    let filter = understood.unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let filter = filter
        .and(filter_fn(is_discreet).with_max_level_hint(LevelFilter::TRACE))
        .and(ClientNoiseFilter::new(&asked));
    let colours = std::io::stderr().is_terminal();
    // A log that can't be written (a full disk, a reader that left or takes its time) must not stop the bar.
    let writer = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(MAX_BUFFERED_LINES);
    let (writer, written) = writer.finish(std::io::stderr());
    *WRITER.lock().unwrap_or_else(PoisonError::into_inner) = Some(written);
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
    // It can only be started once; a test may have been first.
    let _ = registry().with(malformed_requests()).with(lines.with_filter(filter)).try_init();
    if is_wrong {
        tracing::warn!("RUST_LOG can't be read; the log is as usual");
    }
    LogFlush(())
}

fn flush() {
    // Taken out first: writing takes its time, and nobody shall wait for the lock meanwhile.
    let written = WRITER.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(written);
}

fn is_discreet(about: &Metadata<'_>) -> bool {
    *about.level() <= Level::INFO || !DISCREET.iter().any(|target| about.target().starts_with(target))
}

/// Says why a role ended, in the form that the log has.
pub fn failed(failure: &dyn fmt::Display) {
    match FORMAT.get().copied().unwrap_or(LogFormat::Text) {
        LogFormat::Text => eprintln!("shakerqueue: {failure}"),
        // Also where nothing is logged.
        LogFormat::Json => {
            let line = json!({ "timestamp": now(), "level": "ERROR", "message": failure.to_string() });
            eprintln!("{line}");
        }
    }
}

/// Ends the process at once as failed, and says why, where nothing of it can be relied on to end by itself.
pub fn exit_with_failure(failure: String) -> ! {
    end_after(move || failed(&failure), FAILED)
}

/// Ends the process at once with this code, after the lines that wait were written.
pub fn exit(code: i32) -> ! {
    end_after(|| {}, code)
}

/// The exit code of a process that failed.
const FAILED: i32 = 1;

fn end_after(last_words: impl FnOnce() + Send + 'static, code: i32) -> ! {
    let (done, written) = mpsc::sync_channel(1);
    // On a thread of its own: standard error may be a pipe that nobody reads.
    let writing = thread::Builder::new().spawn(move || {
        flush();
        last_words();
        let _ = done.send(());
    });
    if writing.is_ok() {
        let _ = written.recv_timeout(LAST_LINES_TIMEOUT);
    }
    process::exit(code)
}
