//! `HEAD` requests.

use crate::http::{head_only::HeadOnly, problem::Problem};
use actix_web::{HttpMessage, dev::ServiceRequest, http::Method};

/// Turns a `HEAD` request into a `GET` request, which handlers answer. The connection remembers to send no body.
#[expect(clippy::unnecessary_wraps, reason = "one of the steps, of which others refuse requests")]
pub fn to_get(request: &mut ServiceRequest) -> Result<(), Problem> {
    if request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
        request.extensions_mut().insert(HeadOnly);
    }
    Ok(())
}
