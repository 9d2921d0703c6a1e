//! Headers that tell browsers to be careful with responses.

use super::{Answer, change_headers};
use crate::http::server::connection_progress::ConnectionProgress;
use actix_web::{
    dev::ServiceRequest,
    http::header::{self, HeaderName, HeaderValue},
};
use std::rc::Rc;

/// Headers of responses that have none of that name of their own. A response is for its client only, is of the type that it
/// says, and loads nothing.
const DEFAULTS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];
/// Makes browsers use TLS only, for a year after each response over TLS (RFC 6797).
const TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The headers for the response to a request.
pub struct SecurityHeaders {
    is_encrypted: bool,
}

pub fn for_response(request: &ServiceRequest) -> SecurityHeaders {
    let connection = request.conn_data::<Rc<ConnectionProgress>>();
    SecurityHeaders { is_encrypted: connection.is_some_and(|connection| connection.encrypted) }
}

impl SecurityHeaders {
    /// Adds the headers to a response, [`TLS_ONLY`] to one over TLS.
    pub fn add(self, answer: Answer) -> Answer {
        change_headers(answer, move |headers| {
            for (name, value) in DEFAULTS {
                if !headers.contains_key(&name) {
                    headers.insert(name, value);
                }
            }
            if self.is_encrypted {
                headers.insert(header::STRICT_TRANSPORT_SECURITY, TLS_ONLY);
            }
        })
    }
}
