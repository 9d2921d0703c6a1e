//! The API's page for people (see [`swagger_ui`](crate::http::openapi::swagger_ui)).

use super::static_documents::documents;
use crate::http::problem::Problem;
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
    web::Path,
};

/// What the page may load: its own scripts and styles, and the API. Swagger UI keeps its icons in its style sheet (`data:`).
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// For how long a part may be kept, in seconds: it changes with the program only.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("max-age=3600");

/// `GET /docs`: this API, to read and to try out. Works without other servers.
#[utoipa::path(get, path = "/docs", operation_id = "show_docs", tag = "system",
    responses((status = 200, description = "A page for people.", body = String, content_type = "text/html")))]
pub async fn page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut response = documents().await?.docs.answer(&request);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    Ok(response)
}

/// `GET /docs/{name}`: a part of that page.
#[utoipa::path(get, path = "/docs/{name}", operation_id = "get_docs_part", tag = "system",
    params(crate::http::openapi::DocsPart),
    responses(
        (status = 200, description = "The part.",
            content((String = "text/css"), (String = "text/javascript"), (String = "text/plain"))),
        crate::http::openapi::Missing))]
pub async fn part(request: HttpRequest, name: Path<String>) -> Result<HttpResponse, Problem> {
    let parts = &documents().await?.docs_parts;
    let part = parts.get(name.as_str()).ok_or_else(|| Problem::not_found("part of the page"))?;
    let mut response = part.answer(&request);
    response.headers_mut().insert(header::CACHE_CONTROL, CACHE_CONTROL);
    Ok(response)
}
