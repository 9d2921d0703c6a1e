//! Cross-origin access (CORS): other origins whose scripts may use the API. None unless configured: a browser then keeps them away.

use crate::{
    config::Origin,
    http::{extract::idempotency, request_id},
};
use actix_cors::Cors;
use actix_web::{
    dev::ServiceRequest,
    http::{Method, header},
    middleware::Condition,
};

/// The time for which browsers may keep the answer to a preflight request, in seconds.
const MAX_AGE_SECONDS: usize = 3600;

/// Headers of answers that a script from another origin may read.
pub const EXPOSED_HEADERS: [&str; 15] = [
    "Allow",
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

/// The layer that answers preflight requests and marks what may be read. Tokens travel in a header that scripts set themselves,
/// never by themselves as cookies do, so that no credentials are allowed.
///
/// Any header may be sent: libraries for traces, error reports and analytics add their own (`traceparent`, `baggage`,
/// `sentry-trace`, `x-datadog-trace-id`, …), and one that is not allowed would keep a page from ordering at all. Who is not a
/// browser can send what it likes anyway.
pub fn layer(origins: &[Origin]) -> Condition<Cors> {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allow_any_header()
        .expose_headers(EXPOSED_HEADERS)
        .max_age(MAX_AGE_SECONDS);
    // Beside it others mean nothing, and would hide it.
    let cors = if origins.contains(&Origin::Any) {
        cors.allow_any_origin().send_wildcard()
    } else {
        origins.iter().fold(cors, allow)
    };
    Condition::new(!origins.is_empty(), cors)
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

/// Returns whether a browser asks beforehand what a script may do.
pub fn is_preflight(request: &ServiceRequest) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
