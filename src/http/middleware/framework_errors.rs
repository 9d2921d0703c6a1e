//! Responses that the framework makes by itself: as text or without a body, where all others are problems.

use crate::http::problem::Problem;
use actix_web::{
    HttpResponse, ResponseError,
    dev::ServiceResponse,
    http::{
        Method, StatusCode,
        header::{self, HeaderValue},
    },
};

/// Turns an error of the framework into a problem, or into the response to `OPTIONS`.
pub fn explain(response: ServiceResponse) -> ServiceResponse {
    let status = response.status();
    // Handlers answer JSON of one kind or another.
    let media_type = response.headers().get(header::CONTENT_TYPE);
    let is_ours = media_type.is_some_and(|media_type| media_type.as_bytes().starts_with(b"application/"));
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let asks_for_methods = response.request().method() == Method::OPTIONS;
    let (request, mut response) = response.into_parts();
    // What other middleware has added to it stays.
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if let Some(allow) = headers.get(header::ALLOW).and_then(all_methods) {
        headers.insert(header::ALLOW, allow);
    }
    let explained = if asks_for_methods && status == StatusCode::METHOD_NOT_ALLOWED {
        HttpResponse::NoContent().finish()
    } else {
        Problem::of_status(status).error_response()
    };
    let (explained, body) = explained.into_parts();
    *response.status_mut() = explained.status();
    for (name, value) in explained.headers() {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    ServiceResponse::new(request, response.set_body(body))
}

/// Adds the methods that every resource has, of which the framework does not know.
fn all_methods(allow: &HeaderValue) -> Option<HeaderValue> {
    let routes = allow.to_str().ok()?.replace("GET", "GET, HEAD");
    HeaderValue::try_from(format!("{routes}, OPTIONS")).ok()
}
