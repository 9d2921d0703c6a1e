//! The API's page for people: Swagger UI, built in (`build.rs`), so that it needs no other server.

use super::problem::Problem;
use actix_web::{
    HttpRequest, HttpResponse, Responder,
    http::header::{self, AcceptEncoding, ContentType, Encoding, Header},
    web::Path,
};
use flate2::read::GzDecoder;
use std::io::Read;

/// What the page may load: its own scripts and styles, and the API. Swagger UI keeps its icons in its style sheet (`data:`).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// For how long a part may be kept, in seconds: it changes with the program only.
const KEPT: &str = "max-age=3600";

/// A part of the page: its name, what it is, and itself, compressed (gzip).
struct Part(&'static str, &'static str, &'static [u8]);

macro_rules! part {
    ($name:literal, $kind:literal) => {
        Part($name, $kind, include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")))
    };
}

const PARTS: &[Part] = &[
    part!("start.js", "text/javascript; charset=utf-8"),
    part!("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    part!("swagger-ui.css", "text/css; charset=utf-8"),
    part!("licence.txt", "text/plain; charset=utf-8"),
];

/// The names of the parts.
pub fn names() -> impl Iterator<Item = &'static str> {
    PARTS.iter().map(|Part(name, ..)| *name)
}

/// `GET /docs`: this API, to read and to try out. Works without other servers.
#[utoipa::path(get, path = "/docs", operation_id = "show_docs", tag = "system",
    responses((status = 200, description = "A page for people.", body = String, content_type = "text/html")))]
pub async fn page() -> impl Responder {
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .body(include_str!("docs/index.html"))
}

/// `GET /docs/{name}`: a part of that page.
#[utoipa::path(get, path = "/docs/{name}", operation_id = "get_docs_part", tag = "system",
    params(super::openapi::DocsPart),
    responses(
        (status = 200, description = "The part.",
            content((String = "text/css"), (String = "text/javascript"), (String = "text/plain"))),
        super::openapi::Missing))]
pub async fn part(request: HttpRequest, name: Path<String>) -> Result<impl Responder, Problem> {
    let Part(_, kind, compressed) = PARTS
        .iter()
        .find(|Part(known, ..)| *known == name.as_str())
        .ok_or_else(|| Problem::not_found("part of the page"))?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, *kind))
        .insert_header((header::CACHE_CONTROL, KEPT))
        .insert_header((header::VARY, "accept-encoding"));
    let gzip = Encoding::gzip();
    if AcceptEncoding::parse(&request)
        .is_ok_and(|accepted| accepted.negotiate([gzip.clone()].iter()) == Some(gzip))
    {
        return Ok(response.insert_header((header::CONTENT_ENCODING, "gzip")).body(*compressed));
    }
    let mut plain = Vec::new();
    GzDecoder::new(*compressed).read_to_end(&mut plain).map_err(|error| Problem::internal(&error))?;
    Ok(response.body(plain))
}
