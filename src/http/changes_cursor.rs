//! The header with which a client follows the changes of what it has read.

use crate::services::feed::Cursor;
use actix_web::{
    HttpResponse,
    http::header::{HeaderName, HeaderValue},
};

pub const HEADER: &str = "Changes-Cursor";

/// Adds the cursor to a response. It must have been taken before the content was read: what changes in between then comes twice
/// and is not missed.
pub fn add(mut response: HttpResponse, cursor: &Cursor) -> HttpResponse {
    if let Ok(value) = HeaderValue::try_from(cursor.to_string()) {
        response.headers_mut().insert(HeaderName::from_static("changes-cursor"), value);
    }
    response
}
