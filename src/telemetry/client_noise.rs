//! Keeps lines out of the log that any client can make the libraries write with each request, and counts them instead.

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

/// Logs each request that it can't parse as an error.
const HTTP_LIBRARY: &str = "actix_http";
const HTTP_DISPATCHER: &str = "actix_http::h1::dispatcher";
/// Logs headers of the requests that it refuses, at `debug`.
const HTTP_DECODER: &str = "actix_http::h1::decoder";
/// Warns of each malformed handshake. Where it is the client, its errors are returned as well.
const TLS_LIBRARY: &str = "rustls";
/// The beginnings of messages that the dispatcher logs because of a client's input, or because a client stopped reading.
/// The first is logged exactly once for each request that can't be parsed.
const CAUSED_BY_CLIENTS: [&str; 3] = [MALFORMED, "Internal server error: unexpected ", "write zero"];
const MALFORMED: &str = "stream error: ";
const SUMMARY_INTERVAL: Duration = Duration::from_secs(60);

/// Filters the log. A directive that names one of the libraries shows all its lines.
pub struct ClientNoiseFilter {
    shows_http: bool,
    shows_tls: bool,
}

impl ClientNoiseFilter {
    /// Expects the directives of `RUST_LOG`.
    pub fn new(directives: &str) -> Self {
        let names = |library| directives.split(',').any(|directive| directive.trim().starts_with(library));
        Self { shows_http: names(HTTP_LIBRARY), shows_tls: names(TLS_LIBRARY) }
    }

    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        (self.shows_tls || !target.starts_with(TLS_LIBRARY))
            && (self.shows_http || !target.starts_with(HTTP_DECODER))
    }
}

impl<S> Filter<S> for ClientNoiseFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.shows(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_from_dispatcher(metadata) {
            // Only then is `event_enabled` called.
            Interest::sometimes()
        } else if self.shows(metadata) {
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

/// A layer that counts requests that could not be parsed, whatever is logged.
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

fn is_from_dispatcher(metadata: &Metadata<'_>) -> bool {
    *metadata.level() == Level::ERROR && metadata.target() == HTTP_DISPATCHER
}

/// Checks the beginning of a message, and formats no more of it than that takes: there may be 20,000 a second.
fn begins_with(event: &Event<'_>, beginnings: &[&str]) -> bool {
    let mut visitor = BeginningVisitor { beginnings, found: false };
    event.record(&mut visitor);
    visitor.found
}

struct BeginningVisitor<'a> {
    beginnings: &'a [&'a str],
    found: bool,
}

impl Visit for BeginningVisitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.found = self.beginnings.iter().any(|beginning| {
                let mut rest = Beginning(beginning);
                // Fails as soon as the result is known.
                let _ = write!(rest, "{value:?}");
                rest.0.is_empty()
            });
        }
    }
}

/// The part of a beginning that was not written yet.
struct Beginning<'a>(&'a str);

impl Write for Beginning<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self.0.strip_prefix(text) {
            Some(rest) if !rest.is_empty() => {
                self.0 = rest;
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

/// Counters of unlogged events, with the value that was last reported of each.
struct Unlogged([(IntCounter, u64); 3]);

impl Unlogged {
    fn new() -> Self {
        let http = metrics::http();
        let counters = [&http.malformed_requests, &http.failed_handshakes, &http.unlogged_answers];
        Self(counters.map(|counter| (counter.clone(), 0)))
    }

    /// The increase of each counter since the last call. None if there was none.
    fn since_last(&mut self) -> Option<[u64; 3]> {
        let mut since = [0; 3];
        for (since, (counter, reported)) in since.iter_mut().zip(&mut self.0) {
            let now = counter.get();
            *since = now.saturating_sub(std::mem::replace(reported, now));
        }
        since.iter().any(|number| *number > 0).then_some(since)
    }
}

/// Logs once a minute how many lines were kept out of the log, if any were.
pub async fn report_unlogged(stop: CancellationToken) {
    let mut unlogged = Unlogged::new();
    while stop.run_until_cancelled(tokio::time::sleep(SUMMARY_INTERVAL)).await.is_some() {
        if let Some([malformed_requests, failed_handshakes, answers]) = unlogged.since_last() {
            tracing::warn!(
                malformed_requests,
                failed_handshakes,
                answers,
                "some errors that clients caused in the last minute are only counted here"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Seek, sync::Arc};
    use tracing::subscriber::with_default;
    use tracing_subscriber::{EnvFilter, fmt::layer, layer::SubscriberExt, registry};

    fn logged(directives: &str, work: impl FnOnce()) -> String {
        let mut log = tempfile::tempfile().expect("a file");
        let lines = layer().with_ansi(false).with_writer(Arc::new(log.try_clone().expect("a file")));
        let filter = tracing_subscriber::filter::FilterExt::and(
            EnvFilter::new(directives),
            ClientNoiseFilter::new(directives),
        );
        with_default(registry().with(malformed_requests()).with(lines.with_filter(filter)), work);
        log.rewind().expect("a file");
        std::io::read_to_string(log).expect("text")
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
