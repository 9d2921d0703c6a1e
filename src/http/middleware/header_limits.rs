//! How large the head of a request may be. The framework cuts at 128 KiB and 96 headers, with an empty answer.

use crate::http::problem::Problem;
use actix_web::HttpRequest;

/// The most bytes of a path with its query: the longest cursor and filters have a few hundred.
const MAX_URI_BYTES: usize = 4096;
/// The most headers, and the most bytes of their names and values together.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// What is wrong with the size of a request's head.
pub fn oversize(request: &HttpRequest) -> Option<Problem> {
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if path > MAX_URI_BYTES {
        return Some(Problem::uri_too_long(MAX_URI_BYTES));
    }
    let sizes = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    let (number, bytes) = sizes.fold((0, 0), |(number, bytes), size| (number + 1, bytes + size));
    (number > MAX_HEADERS || bytes > MAX_HEADER_BYTES)
        .then(|| Problem::head_too_large(MAX_HEADERS, MAX_HEADER_BYTES))
}
