//! Keeps out of the log what any client can make the libraries write there, one line a request, and counts it instead.

use super::metrics;
use prometheus::IntCounter;
use std::{
    fmt::{self, Write},
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, filter_fn},
    layer::{Context, Filter},
    registry::LookupSpan,
};

/// The library that reads requests. It logs each one that it can't read as an error of its own.
const HTTP_LIBRARY: &str = "actix_http";
const HTTP_DISPATCHER: &str = "actix_http::h1::dispatcher";
/// At `debug` it repeats headers of the requests that it refuses.
const HTTP_DECODER: &str = "actix_http::h1::decoder";
/// The library that decrypts. It warns of each handshake that makes no sense; as a client it returns its errors as well.
const TLS_LIBRARY: &str = "rustls";
/// The beginnings of what the dispatcher logs because of what a client sent, or did not read. The first ends each request that
/// can't be read, once.
const CAUSED_BY_CLIENTS: [&str; 3] = [MALFORMED, "Internal server error: unexpected ", "write zero"];
const MALFORMED: &str = "stream error: ";
/// How often the log says how much was kept out of it.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(60);

/// A filter for the lines of the log. A directive that names a library shows what that one says, whoever caused it.
pub struct ClientNoiseFilter {
    shows_http: bool,
    shows_tls: bool,
}

impl ClientNoiseFilter {
    /// A filter for these directives (`RUST_LOG`).
    pub fn new(directives: &str) -> Self {
        let names = |library| directives.split(',').any(|directive| directive.trim().starts_with(library));
        Self { shows_http: names(HTTP_LIBRARY), shows_tls: names(TLS_LIBRARY) }
    }

    fn shows(&self, about: &Metadata<'_>) -> bool {
        let target = about.target();
        (self.shows_tls || !target.starts_with(TLS_LIBRARY))
            && (self.shows_http || !target.starts_with(HTTP_DECODER))
    }
}

impl<S> Filter<S> for ClientNoiseFilter {
    fn enabled(&self, about: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.shows(about)
    }

    fn callsite_enabled(&self, about: &'static Metadata<'static>) -> Interest {
        if is_from_dispatcher(about) {
            // The library asks about single events only where it is asked each time.
            Interest::sometimes()
        } else if self.shows(about) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        self.shows_http || !(is_from_dispatcher(event.metadata()) && begins_with(event, &CAUSED_BY_CLIENTS))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

/// A layer that counts requests that could not be read, whatever is logged.
pub fn malformed_requests<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    MalformedRequests.with_filter(filter_fn(is_from_dispatcher).with_max_level_hint(LevelFilter::ERROR))
}

struct MalformedRequests;

impl<S: Subscriber> Layer<S> for MalformedRequests {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if begins_with(event, &[MALFORMED]) {
            metrics::http().malformed_requests.inc();
        }
    }
}

fn is_from_dispatcher(about: &Metadata<'_>) -> bool {
    *about.level() == Level::ERROR && about.target() == HTTP_DISPATCHER
}

/// Whether the message begins with one of these. Formats no more of it than that takes: there may be 20,000 a second.
fn begins_with(event: &Event<'_>, beginnings: &[&str]) -> bool {
    let mut message = Message { beginnings, found: false };
    event.record(&mut message);
    message.found
}

struct Message<'a> {
    beginnings: &'a [&'a str],
    found: bool,
}

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.found = self.beginnings.iter().any(|beginning| {
                let mut left = Beginning(beginning);
                // Which stops as soon as it is known.
                let _ = write!(left, "{value:?}");
                left.0.is_empty()
            });
        }
    }
}

/// What must still come of a beginning.
struct Beginning<'a>(&'a str);

impl Write for Beginning<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self.0.strip_prefix(text) {
            Some(left) if !left.is_empty() => {
                self.0 = left;
                Ok(())
            }
            _ => {
                if text.starts_with(self.0) {
                    self.0 = "";
                }
                Err(fmt::Error)
            }
        }
    }
}

/// Counters of what is not logged one by one, and how far they were reported.
struct Unlogged([(IntCounter, u64); 3]);

impl Unlogged {
    fn new() -> Self {
        let http = metrics::http();
        let counters = [&http.malformed_requests, &http.failed_handshakes, &http.unlogged_answers];
        Self(counters.map(|counter| (counter.clone(), 0)))
    }

    /// How many came since it was last asked; none if none did.
    fn since_last(&mut self) -> Option<[u64; 3]> {
        let mut since = [0; 3];
        for (since, (counter, reported)) in since.iter_mut().zip(&mut self.0) {
            let now = counter.get();
            *since = now.saturating_sub(std::mem::replace(reported, now));
        }
        since.iter().any(|number| *number > 0).then_some(since)
    }
}

/// Says once a minute how much was kept out of the log, if anything was, until it is stopped.
pub async fn report_unlogged(stop: CancellationToken) {
    let mut unlogged = Unlogged::new();
    while stop.run_until_cancelled(tokio::time::sleep(SUMMARY_INTERVAL)).await.is_some() {
        if let Some([malformed_requests, failed_handshakes, answers]) = unlogged.since_last() {
            tracing::warn!(
                malformed_requests,
                failed_handshakes,
                answers,
                "clients caused more than is logged one by one, in the last minute"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing::subscriber::with_default;
    use tracing_subscriber::{EnvFilter, fmt::layer, layer::SubscriberExt, registry};

    /// What is logged with these directives.
    fn logged(directives: &str, work: impl FnOnce()) -> String {
        let text = Arc::new(Mutex::new(Vec::new()));
        let writer = {
            let text = text.clone();
            move || Shared(text.clone())
        };
        let lines = layer().with_ansi(false).with_writer(writer);
        let filter = tracing_subscriber::filter::FilterExt::and(
            EnvFilter::new(directives),
            ClientNoiseFilter::new(directives),
        );
        with_default(registry().with(malformed_requests()).with(lines.with_filter(filter)), work);
        String::from_utf8(text.lock().expect("no panic").clone()).expect("text")
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn libraries_speak() {
        tracing::error!(target: HTTP_DISPATCHER, "stream error: {}", "Invalid Header provided");
        tracing::error!(target: HTTP_DISPATCHER, "Internal server error: unexpected eof");
        tracing::error!(target: HTTP_DISPATCHER, "Response payload stream error: {:?}", "ours");
        tracing::error!(target: HTTP_DISPATCHER, "stream");
        tracing::warn!(target: "rustls::check", "Received a ClientHello");
        tracing::debug!(target: HTTP_DECODER, "illegal Content-Length");
        tracing::warn!(target: "shakerqueue", "of our own");
    }

    #[test]
    fn a_line_that_clients_cause_is_shown_only_where_its_library_is_asked_for_by_name() {
        let ours = ["Response payload stream error", "dispatcher: stream\n", "of our own"];
        for usual in ["warn,shakerqueue=info", "info", "debug", "trace", "warn,access=debug"] {
            let text = logged(usual, libraries_speak);
            assert_eq!(text.lines().count(), ours.len(), "{usual}: {text}");
            assert!(ours.iter().all(|line| text.contains(line)), "{usual}: {text}");
        }
        let text = logged("warn, actix_http=error", libraries_speak);
        assert!(text.contains("Invalid Header") && !text.contains("ClientHello"), "{text}");
        assert!(logged("warn,rustls=warn", libraries_speak).contains("ClientHello"));
    }

    #[test]
    fn malformed_requests_are_counted_whatever_is_logged_and_reported_once() {
        let counter = &metrics::http().malformed_requests;
        let mut unlogged = Unlogged::new();
        unlogged.since_last();
        for directives in ["off", "warn", "actix_http=trace"] {
            let before = counter.get();
            logged(directives, libraries_speak);
            // Other tests of this process may count as well.
            assert!(counter.get() > before, "{directives}");
        }
        assert!(unlogged.since_last().is_some_and(|[malformed, ..]| malformed >= 3));
    }
}
