//! Limits on the size of a request's head. The framework's own are 128 KiB and 96 headers, with an empty response.

use crate::http::problem::{Problem, types};
use actix_web::dev::ServiceRequest;

/// Bytes of a path with its query: the longest cursor and filters have a few hundred.
const MAX_URI_BYTES: usize = 4096;
const MAX_HEADERS: usize = 64;
/// Bytes of all names and values together.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Refuses a request whose head is too large.
pub fn check(request: &mut ServiceRequest) -> Result<(), Problem> {
    let uri_bytes = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if uri_bytes > MAX_URI_BYTES {
        let detail = format!("A path with its query may have at most {MAX_URI_BYTES} bytes.");
        return Err(Problem::new(types::URI_TOO_LONG, detail));
    }
    let sizes = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    let (headers, bytes) = sizes.fold((0, 0), |(headers, bytes), size| (headers + 1, bytes + size));
    if headers > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        let detail =
            format!("A request may have at most {MAX_HEADERS} headers, of {MAX_HEADER_BYTES} bytes in all.");
        return Err(Problem::new(types::HEAD_TOO_LARGE, detail));
    }
    Ok(())
}
