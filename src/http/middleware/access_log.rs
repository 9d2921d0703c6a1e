//! What is told of each request: its span, its place in the metrics, and its line in the log.

use crate::http::{extract::client_ip::from_trusted_proxy, request_id::RequestId};
use crate::telemetry::{
    metrics,
    traces::{Extractor, Span, SpanKind, TraceContext},
};
use actix_web::{
    HttpRequest,
    http::{
        StatusCode,
        header::{HeaderMap, HeaderName},
    },
};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::{num::NonZero, sync::LazyLock, time::Instant};

/// The answers with 5xx that are logged one by one: so many a second, and so many at once. While a part is down every request
/// may be one, and anybody can send those.
const MAX_LOGGED_PER_SECOND: NonZero<u32> = NonZero::<u32>::MIN.saturating_add(9);
const MAX_LOGGED_BURST: NonZero<u32> = NonZero::<u32>::MIN.saturating_add(99);
static LOGGED: LazyLock<DefaultDirectRateLimiter> = LazyLock::new(|| {
    RateLimiter::direct(Quota::per_second(MAX_LOGGED_PER_SECOND).allow_burst(MAX_LOGGED_BURST))
});

/// Those whose names may be told: anybody can invent others.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// What OpenTelemetry calls all others.
const OTHER: &str = "_OTHER";
/// How a request is counted whose client did not wait for the answer.
const GONE: u16 = 499;

/// A request that is being answered.
pub struct ObservedRequest {
    begun: Instant,
    id: RequestId,
    method: &'static str,
    /// As in the API's document; empty where there is none. Never what the client wrote, which may be anything.
    route: String,
    span: Span,
    ended: bool,
}

impl ObservedRequest {
    /// From here on.
    pub fn begin(request: &HttpRequest, id: &RequestId) -> Self {
        let begun = Instant::now();
        let method = METHODS.into_iter().find(|known| *known == request.method().as_str()).unwrap_or(OTHER);
        let route = request.match_pattern().unwrap_or_default();
        // Anybody can send the header: whoever is believed there decides what is traced.
        let parent = if from_trusted_proxy(request) {
            TraceContext::extract(&Headers(request.headers()))
        } else {
            TraceContext::default()
        };
        let mut span = Span::begin(SpanKind::Server, || span_name(method, &route), &parent);
        if span.is_recorded() {
            span.set("http.request.method", method);
            span.set("url.scheme", request.connection_info().scheme().to_owned());
            if !route.is_empty() {
                span.set("http.route", route.clone());
            }
            span.set("shakerqueue.request_id", id.as_str().to_owned());
        }
        Self { begun, id: id.clone(), method, route, span, ended: false }
    }

    /// Where it is in a trace.
    pub fn place(&self) -> TraceContext {
        self.span.context()
    }

    /// It was answered so; `cause` says why, where that is nobody else's business.
    pub fn end(mut self, status: StatusCode, cause: Option<&str>) {
        self.tell(status.as_u16(), cause);
    }

    fn tell(&mut self, status: u16, cause: Option<&str>) {
        self.ended = true;
        let took = self.begun.elapsed();
        metrics::observe_request(self.method, &self.route, status, took);
        if self.span.is_recorded() {
            self.span.set("http.response.status_code", i64::from(status));
            if status >= 500 {
                self.span.failed(cause.unwrap_or_default().to_owned());
            }
        }
        let (id, method, route) = (self.id.as_str(), self.method, self.route.as_str());
        let ms = f64::from(u32::try_from(took.as_micros()).unwrap_or(u32::MAX)) / 1000.0;
        let trace = self.span.context().trace_id();
        /// One line, whichever the level.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(target: "access", request_id = id, method, route, status, ms, trace_id = trace, cause, "answered")
            };
        }
        let is_for_operators = status >= 500 || status >= 400 && cause.is_some();
        match status {
            _ if is_for_operators && LOGGED.check().is_err() => metrics::http().unlogged_answers.inc(),
            // A defect of ours.
            500 => line!(error),
            501.. => line!(warn),
            _ if is_for_operators => line!(warn),
            // Orders are requests too: in a rush these are far too many.
            _ => line!(debug),
        }
    }
}

impl Drop for ObservedRequest {
    fn drop(&mut self) {
        if !self.ended {
            self.tell(GONE, None);
        }
    }
}

/// Headers as OpenTelemetry reads them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// As OpenTelemetry has it.
fn span_name(method: &str, route: &str) -> String {
    let method = if method == OTHER { "HTTP" } else { method };
    format!("{method} {route}").trim_end().to_owned()
}
