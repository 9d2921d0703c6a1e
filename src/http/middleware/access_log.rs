//! Records each request: its span, its duration as a metric, and its line in the log.

use super::Answer;
use crate::{
    http::{extract::client_ip::from_trusted_proxy, problem::Problem, request_id::RequestId},
    telemetry::{
        metrics,
        traces::{self, Span, SpanKind, TraceContext},
    },
};
use actix_web::{
    Error, HttpRequest,
    body::BoxBody,
    dev::{ResourceMap, ServiceRequest, ServiceResponse},
    http::Uri,
    middleware::Next,
};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::{
    cell::OnceCell,
    num::NonZero,
    sync::LazyLock,
    time::{Duration, Instant},
};

/// Limits on the responses with 5xx that are logged one by one: while a server is down every request may be one, and anybody
/// can send requests.
const MAX_LOGGED_PER_SECOND: NonZero<u32> = NonZero::<u32>::MIN.saturating_add(9);
const MAX_LOGGED_BURST: NonZero<u32> = NonZero::<u32>::MIN.saturating_add(99);
static LOGGED: LazyLock<DefaultDirectRateLimiter> = LazyLock::new(|| {
    RateLimiter::direct(Quota::per_second(MAX_LOGGED_PER_SECOND).allow_burst(MAX_LOGGED_BURST))
});

/// Methods that are recorded by name: anybody can invent others.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// OpenTelemetry's name of all other methods.
const OTHER_METHOD: &str = "_OTHER";
/// The recorded status of a request whose client did not wait for the response.
const CLIENT_CLOSED_REQUEST: u16 = 499;

thread_local! {
    /// The routes of the thread's app, for requests that end without a response.
    static ROUTES: OnceCell<ResourceMap> = const { OnceCell::new() };
}

/// The cause of a handler's 5xx response, which it adds to the response's extensions for the log.
pub struct LoggedCause(pub String);

/// Records the request, however it ends.
pub async fn record(request: ServiceRequest, next: Next<BoxBody>) -> Answer {
    let observed = ObservedRequest::begin(request.request());
    let answer = observed.span.run(next.call(request)).await;
    match &answer {
        Ok(response) => {
            let route = observed.route.is_none().then(|| response.request().match_pattern()).flatten();
            observed.end(response.status().as_u16(), route, logged_cause(response).as_deref());
        }
        Err(error) => {
            observed.end(error.as_response_error().status_code().as_u16(), None, cause(error).as_deref());
        }
    }
    answer
}

fn logged_cause(response: &ServiceResponse) -> Option<String> {
    let response = response.response();
    let logged = response.extensions().get::<LoggedCause>().map(|LoggedCause(cause)| cause.clone());
    logged.or_else(|| response.error().and_then(cause))
}

/// Returns the cause of an error, where it is for the log only.
fn cause(error: &Error) -> Option<String> {
    match error.as_error::<Problem>() {
        Some(problem) => problem.cause().map(str::to_owned),
        None if error.as_response_error().status_code().is_server_error() => Some(error.to_string()),
        None => None,
    }
}

/// A request that is being answered.
struct ObservedRequest {
    started: Instant,
    id: Option<RequestId>,
    method: &'static str,
    uri: Uri,
    /// The path's pattern, or nothing where no route has the path: never what the client wrote, which may be anything. `None`
    /// until the request is routed, unless it is traced: finding it before that means to try one route's pattern after another.
    route: Option<String>,
    span: Span,
    ended: bool,
}

impl ObservedRequest {
    fn begin(request: &HttpRequest) -> Self {
        let started = Instant::now();
        let method = request.method().as_str();
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER_METHOD);
        ROUTES.with(|routes| {
            routes.get_or_init(|| request.resource_map().clone());
        });
        let (id, uri) = (RequestId::current(), request.uri().clone());
        let mut observed =
            Self { started, id, method, uri, route: None, span: Span::default(), ended: false };
        if traces::is_enabled() {
            observed.start_span(request);
        }
        observed
    }

    fn start_span(&mut self, request: &HttpRequest) {
        let route = request.match_pattern().unwrap_or_default();
        // Anybody can send the header: a client that is believed there would decide which requests are traced.
        let parent = if from_trusted_proxy(request) {
            TraceContext::extract(|name| request.headers().get(name)?.to_str().ok())
        } else {
            TraceContext::default()
        };
        let mut span = Span::begin(SpanKind::Server, || span_name(self.method, &route), &parent);
        if span.is_recorded() {
            span.set("http.request.method", self.method);
            span.set("url.scheme", request.connection_info().scheme().to_owned());
            if !route.is_empty() {
                span.set("http.route", route.clone());
            }
            span.set("shakerqueue.request_id", self.id().to_owned());
        }
        (self.span, self.route) = (span, Some(route));
    }

    fn id(&self) -> &str {
        self.id.as_ref().map(RequestId::as_str).unwrap_or_default()
    }

    fn end(mut self, status: u16, route: Option<String>, cause: Option<&str>) {
        self.route = self.route.take().or(route).or(Some(String::new()));
        self.finish(status, cause);
    }

    fn finish(&mut self, status: u16, cause: Option<&str>) {
        self.ended = true;
        let duration = self.started.elapsed();
        let route = self.route.take().or_else(|| self.expected_route()).unwrap_or_default();
        metrics::observe_request(self.method, &route, status, duration);
        if self.span.is_recorded() {
            self.span.set("http.response.status_code", i64::from(status));
            if status >= 500 {
                self.span.failed(cause.unwrap_or_default().to_owned());
            }
        }
        self.log(&route, status, duration, cause);
    }

    /// Finds the route by the path, where the request is gone.
    fn expected_route(&self) -> Option<String> {
        ROUTES.with(|routes| routes.get()?.match_pattern(self.uri.path()))
    }

    fn log(&self, route: &str, status: u16, duration: Duration, cause: Option<&str>) {
        /// One line, whichever the level.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "access",
                    request_id = self.id(),
                    method = self.method,
                    route,
                    status,
                    ms = milliseconds(duration),
                    trace_id = self.span.context().trace_id(),
                    cause,
                    "answered"
                )
            };
        }
        let is_for_operators = status >= 500 || status >= 400 && cause.is_some();
        match status {
            _ if is_for_operators && LOGGED.check().is_err() => metrics::http().unlogged_answers.inc(),
            // A defect of the service.
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
            self.finish(CLIENT_CLOSED_REQUEST, None);
        }
    }
}

/// The name that OpenTelemetry's conventions give the span of a request.
fn span_name(method: &str, route: &str) -> String {
    let method = if method == OTHER_METHOD { "HTTP" } else { method };
    format!("{method} {route}").trim_end().to_owned()
}

/// Milliseconds with three digits after the point.
fn milliseconds(duration: Duration) -> f64 {
    f64::from(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}
