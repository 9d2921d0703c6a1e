//! Content negotiation (RFC 9110, section 12): responses are JSON, except for a few pages.

use crate::http::problem::{Problem, types};
use actix_web::{dev::ServiceRequest, http::header};

/// Paths below which responses are of other types, which a client may ask for.
const PAGES: [&str; 4] = ["/docs", "/metrics", "/problems", "/stream"];

/// Refuses a request whose client does not accept JSON.
pub fn check(request: &mut ServiceRequest) -> Result<(), Problem> {
    if accepts_json(request) || PAGES.iter().any(|page| request.path().starts_with(page)) {
        return Ok(());
    }
    Err(Problem::new(types::NOT_ACCEPTABLE, "Answers are JSON: Accept must include application/json."))
}

/// Without the header `Accept` a client accepts every type.
fn accepts_json(request: &ServiceRequest) -> bool {
    let mut ranges =
        request.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok()).peekable();
    ranges.peek().is_none() || ranges.flat_map(|value| value.split(',')).any(is_json_range)
}

fn is_json_range(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let is_json = ["", "*/*", "application/*", "application/json"]
        .iter()
        .any(|json| media_type.eq_ignore_ascii_case(json));
    // The weight 0 rules it out (RFC 9110, 12.4.2).
    is_json
        && !parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.parse() == Ok(0.0))
        })
}
