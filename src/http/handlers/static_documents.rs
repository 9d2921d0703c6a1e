//! Documents that are the same for everybody: the API's document, the page that shows it (Swagger UI, built in by `build.rs`, so
//! that it needs no other server), and the pages that the types of problems lead to.

use super::prelude::*;
use crate::http::{
    asset::Asset,
    offload::offload,
    problem::types::{ALL, ProblemType},
};
use actix_web::http::header::{self, HeaderValue};
use std::{collections::HashMap, io};
use tokio::sync::OnceCell;

/// The page at `/docs` may load its own scripts and styles, and the API. Swagger UI keeps its icons in its style sheet (`data:`).
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Parts of the page change with the program only.
const DOCS_PART_CACHE_CONTROL: HeaderValue = HeaderValue::from_static("max-age=3600");

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! swagger_ui {
    ($file:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".gz")).as_slice()
    };
}

/// The parts of the page at `/docs`: name, media type, and content, compressed (gzip).
const DOCS_PARTS: [(&str, &str, &[u8]); 4] = [
    ("start.js", SCRIPT, swagger_ui!("start.js")),
    ("swagger-ui-bundle.js", SCRIPT, swagger_ui!("swagger-ui-bundle.js")),
    ("swagger-ui.css", "text/css; charset=utf-8", swagger_ui!("swagger-ui.css")),
    ("licence.txt", "text/plain; charset=utf-8", swagger_ui!("licence.txt")),
];

/// The documents, made when the first of them is asked for.
pub struct StaticDocuments {
    openapi: fn() -> &'static str,
    by_path: OnceCell<HashMap<String, Asset>>,
}

impl StaticDocuments {
    pub fn new(openapi: fn() -> &'static str) -> Self {
        Self { openapi, by_path: OnceCell::new() }
    }

    /// Answers with the document at the request's path, or with 404. They are compressed off the threads that answer requests.
    async fn answer(&self, request: &HttpRequest, what: &str) -> Answer {
        let openapi = self.openapi;
        let make =
            async || offload(move || by_path(openapi())).await?.map_err(|error| Problem::internal(&error));
        let documents = self.by_path.get_or_try_init(make).await?;
        let document = documents.get(request.match_info().as_str());
        Ok(document.ok_or_else(|| Problem::not_found(what))?.answer(request))
    }
}

fn by_path(openapi: &'static str) -> io::Result<HashMap<String, Asset>> {
    let mut documents: HashMap<_, _> = [
        ("/openapi.json".into(), Asset::of("application/json", openapi.as_bytes())),
        ("/docs".into(), Asset::of(HTML, include_str!("../openapi/swagger_ui/index.html"))),
        ("/problems".into(), problem_list()),
    ]
    .into();
    for (name, media_type, gzip) in DOCS_PARTS {
        documents.insert(format!("/docs/{name}"), Asset::unpacked(media_type, gzip)?);
    }
    documents.extend(ALL.iter().map(|kind| (kind.path.into(), problem_page(kind))));
    Ok(documents)
}

fn problem_list() -> Asset {
    let rows: Vec<_> = ALL
        .iter()
        .map(|kind| format!("<li><a href=\"{}\">{}</a>: {}</li>", kind.path, kind.name, kind.title))
        .collect();
    html("Problems", &format!("<ul>\n{}\n</ul>", rows.join("\n")))
}

fn problem_page(ProblemType { title, status, about, .. }: &ProblemType) -> Asset {
    let status = status.as_str();
    let all = "<a href=\"/problems\">All problems</a>";
    html(title, &format!("<p>Status: {status}</p>\n<p>{about}</p>\n<p>{all}</p>"))
}

/// A page of our own texts, none of which needs escaping.
fn html(title: &str, body: &str) -> Asset {
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title} – ShakerQueue</title>\n<h1>{title}</h1>\n{body}\n</html>\n"
    );
    Asset::of(HTML, page)
}

/// Shows this document, in JSON
#[utoipa::path(get, path = "/openapi.json", operation_id = "get_document", tag = "system",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)))]
pub async fn openapi(documents: Data<StaticDocuments>, request: HttpRequest) -> Answer {
    documents.answer(&request, "document").await
}

/// Shows this API, to read and to try out
///
/// The page needs no other servers.
#[utoipa::path(get, path = "/docs", operation_id = "show_docs", tag = "system",
    responses((status = 200, description = "A page for people.", body = String, content_type = "text/html")))]
pub async fn docs(documents: Data<StaticDocuments>, request: HttpRequest) -> Answer {
    let mut response = documents.answer(&request, "page").await?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, DOCS_POLICY);
    Ok(response)
}

/// Shows a part of the page at /docs
#[utoipa::path(get, path = "/docs/{name}", operation_id = "get_docs_part", tag = "system",
    params(DocsPartName),
    responses(
        (status = 200, description = "The part.",
            content((String = "text/css"), (String = "text/javascript"), (String = "text/plain"))),
        Missing))]
pub async fn docs_part(documents: Data<StaticDocuments>, request: HttpRequest) -> Answer {
    let mut response = documents.answer(&request, "part of the page").await?;
    response.headers_mut().insert(header::CACHE_CONTROL, DOCS_PART_CACHE_CONTROL);
    Ok(response)
}

/// Lists all types of problems
#[utoipa::path(get, path = "/problems", operation_id = "list_problems", tag = "system",
    responses((status = 200, description = "A page for people.", body = String, content_type = "text/html")))]
pub async fn problems(documents: Data<StaticDocuments>, request: HttpRequest) -> Answer {
    documents.answer(&request, "page").await
}

/// Explains one type of problem
#[utoipa::path(get, path = "/problems/{name}", operation_id = "show_problem", tag = "system",
    params(ProblemName),
    responses(
        (status = 200, description = "A page for people.", body = String, content_type = "text/html"),
        Missing))]
pub async fn problem(documents: Data<StaticDocuments>, request: HttpRequest) -> Answer {
    documents.answer(&request, "type of problem").await
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{
        App,
        body::MessageBody,
        test::{TestRequest, call_service, init_service},
        web::{self, Bytes},
    };

    #[actix_web::test]
    async fn every_document_is_made_once_and_shared_by_all_answers() {
        let documents = Data::new(StaticDocuments::new(|| "{}"));
        let all = by_path("{}").expect("documents");
        let service = init_service(App::new().app_data(documents).default_service(web::to(docs))).await;
        let service = &service;
        let places = async |encoding: &'static str| {
            let mut places = Vec::new();
            for path in all.keys() {
                let ask = TestRequest::with_uri(path).insert_header((header::ACCEPT_ENCODING, encoding));
                let response = call_service(service, ask.to_request()).await;
                let body: Bytes = response.into_body().try_into_bytes().expect("there at once");
                places.push((body.as_ptr(), body.len()));
            }
            places
        };
        for encoding in ["gzip", "identity"] {
            assert_eq!(places(encoding).await, places(encoding).await, "{encoding}");
        }
    }
}
