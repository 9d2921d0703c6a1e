//! Gives each request an id, which the log, problems and the response show.

use super::{Answer, change_headers};
use crate::http::request_id::{HEADER, RequestId};
use actix_web::{body::BoxBody, dev::ServiceRequest, http::header::HeaderName, middleware::Next};

const REQUEST_ID: HeaderName = HeaderName::from_static(HEADER);

/// Answers the request within the scope of its id, and adds the id to the response.
pub async fn assign(request: ServiceRequest, next: Next<BoxBody>) -> Answer {
    let id = RequestId::of(request.request());
    let value = id.value();
    let answer = id.scope(next.call(request)).await;
    change_headers(answer, |headers| {
        headers.insert(REQUEST_ID, value);
    })
}
