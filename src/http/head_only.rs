//! Responses to `HEAD` requests, which handlers see as `GET` requests.

use actix_web::{
    HttpMessage, HttpRequest,
    body::{BodySize, MessageBody},
    web::Bytes,
};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// Marks a `HEAD` request, in its extensions.
pub struct HeadOnly;

/// Returns whether the client wants no body, so that a costly one need not be made.
pub fn is_head_only(request: &HttpRequest) -> bool {
    request.extensions().contains::<HeadOnly>()
}

/// A body of this size that is not sent.
pub struct UnsentBody(pub BodySize);

impl UnsentBody {
    /// A body that was not made, so that its length is unknown.
    pub const UNMADE: Self = Self(BodySize::None);
}

impl MessageBody for UnsentBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}
