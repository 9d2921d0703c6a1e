//! Which other origins' scripts may use the API (CORS). None unless configured: a browser then keeps them away.

use super::{exchange::EXPOSED, request_id};
use crate::config::Origin;
use actix_cors::Cors;
use actix_web::middleware::Condition;

/// How long browsers may remember the answer to a preflight request, in seconds.
const REMEMBERED: usize = 3600;

/// The layer that answers preflight requests and marks what may be read. Tokens travel in a header that scripts set themselves,
/// never by themselves as cookies do, so that no credentials are allowed.
pub fn layer(origins: &[Origin]) -> Condition<Cors> {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([
            "Accept",
            "Authorization",
            "Content-Type",
            "Idempotency-Key",
            "If-Match",
            "If-None-Match",
            "Prefer",
            request_id::HEADER,
        ])
        .expose_headers(EXPOSED)
        .max_age(REMEMBERED);
    let cors = origins.iter().fold(cors, |cors, origin| match origin.as_str() {
        "*" => cors.allow_any_origin().send_wildcard(),
        origin => cors.allowed_origin(origin),
    });
    Condition::new(!origins.is_empty(), cors)
}
