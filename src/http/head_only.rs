//! `HEAD` requests, which handlers see as `GET` requests.

use super::problem::Problem;
use actix_web::{
    HttpMessage, HttpRequest,
    body::{BoxBody, SizedStream},
    dev::ServiceRequest,
    http::Method,
    web::Bytes,
};
use futures_util::stream;
use std::convert::Infallible;

/// Marks a `HEAD` request, in its extensions.
pub struct HeadOnly;

/// Turns a `HEAD` request into a `GET` request, which handlers answer. The connection remembers to send no body.
#[expect(clippy::unnecessary_wraps, reason = "one of the steps, of which others refuse requests")]
pub fn to_get(request: &mut ServiceRequest) -> Result<(), Problem> {
    if request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
        request.extensions_mut().insert(HeadOnly);
    }
    Ok(())
}

/// Returns whether the client wants no body, so that a costly one need not be made.
pub fn is_head_only(request: &HttpRequest) -> bool {
    request.extensions().contains::<HeadOnly>()
}

/// Returns a body of this length that is not sent.
pub fn unsent_body(length: u64) -> BoxBody {
    BoxBody::new(SizedStream::new(length, stream::empty::<Result<Bytes, Infallible>>()))
}
