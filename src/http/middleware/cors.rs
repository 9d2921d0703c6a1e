//! Cross-origin access (CORS): the origins whose scripts may use the API. None unless configured, so that browsers refuse them.

use super::{Answer, header_limits};
use crate::{
    config::Origin,
    http::{changes_cursor, extract::idempotency, request_id},
};
use actix_cors::Cors;
use actix_web::{
    body::BoxBody,
    dev::ServiceRequest,
    http::{Method, header},
    middleware::Next,
};

/// The time for which browsers may cache the response to a preflight request.
const MAX_AGE_SECONDS: usize = 3600;

/// Headers of responses that a script from another origin may read.
const EXPOSED_HEADERS: [&str; 16] = [
    "Allow",
    changes_cursor::HEADER,
    "Date",
    "Deprecation",
    "ETag",
    "Link",
    "Location",
    idempotency::REPLAYED,
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Sunset",
    "Vary",
    "WWW-Authenticate",
    request_id::HEADER,
];

/// Answers preflight requests and adds CORS headers to responses. Credentials are not allowed: tokens are in a header that
/// scripts set, and browsers do not send them by themselves as they send cookies.
///
/// Any request header is allowed: libraries for traces, error reports and analytics add their own (`traceparent`, `baggage`,
/// `sentry-trace`, `x-datadog-trace-id`, …), and one that is not allowed would keep a page from ordering at all. Clients other
/// than browsers can send any header anyway.
pub fn layer(origins: &[Origin]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allow_any_header()
        .expose_headers(EXPOSED_HEADERS)
        .max_age(MAX_AGE_SECONDS);
    // Beside `*` other origins mean nothing, and would hide it.
    if origins.contains(&Origin::Any) {
        cors.allow_any_origin().send_wildcard()
    } else {
        origins.iter().fold(cors, allow)
    }
}

fn allow(cors: Cors, origin: &Origin) -> Cors {
    match origin {
        Origin::Any => cors,
        Origin::One(origin) => cors.allowed_origin(origin),
        Origin::Subdomains(subdomains) => {
            let subdomains = subdomains.clone();
            cors.allowed_origin_fn(move |origin, _| subdomains.contains(origin.as_bytes()))
        }
    }
}

/// Refuses preflight requests whose head is too large, around the layer that answers them by itself and repeats the names that
/// they have.
pub async fn limit_preflights(mut request: ServiceRequest, next: Next<BoxBody>) -> Answer {
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if is_preflight && let Err(problem) = header_limits::check(&mut request) {
        return Ok(request.error_response(problem));
    }
    next.call(request).await
}
