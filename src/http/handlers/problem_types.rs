//! Routes of the pages that the types of problems lead to.

use super::static_documents::documents;
use crate::http::problem::Problem;
use actix_web::{HttpRequest, HttpResponse, web::Path};

/// `GET /problems`: every kind of problem there is.
#[utoipa::path(get, path = "/problems", operation_id = "list_problems", tag = "system",
    responses((status = 200, description = "A page for people.", body = String, content_type = "text/html")))]
pub async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Ok(documents().await?.problems.answer(&request))
}

/// `GET /problems/{name}`: what a kind of problem means.
#[utoipa::path(get, path = "/problems/{name}", operation_id = "show_problem", tag = "system",
    params(crate::http::openapi::ProblemName),
    responses(
        (status = 200, description = "A page for people.", body = String, content_type = "text/html"),
        crate::http::openapi::Missing))]
pub async fn show(request: HttpRequest, name: Path<String>) -> Result<HttpResponse, Problem> {
    let pages = &documents().await?.problem_pages;
    let page = pages.get(name.as_str()).ok_or_else(|| Problem::not_found("kind of problem"))?;
    Ok(page.answer(&request))
}
