//! Responses to `HEAD` requests, which handlers see as `GET` requests.

use actix_web::{
    HttpMessage, HttpRequest,
    body::{BoxBody, SizedStream},
    web::Bytes,
};
use futures_util::stream;
use std::convert::Infallible;

/// Marks a `HEAD` request, in its extensions.
pub struct HeadOnly;

/// Returns whether the client wants no body, so that a costly one need not be made.
pub fn is_head_only(request: &HttpRequest) -> bool {
    request.extensions().contains::<HeadOnly>()
}

/// Returns a body of this length that is not sent.
pub fn unsent_body(length: u64) -> BoxBody {
    BoxBody::new(SizedStream::new(length, stream::empty::<Result<Bytes, Infallible>>()))
}
