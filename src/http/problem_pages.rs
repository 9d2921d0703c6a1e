//! The pages that the types of problems lead to.

use super::{
    asset::Asset,
    documents::documents,
    kind::{ALL, Kind},
    problem::Problem,
};
use actix_web::{HttpRequest, HttpResponse, web::Path};
use std::collections::HashMap;

/// `GET /problems`: every kind of problem there is.
#[utoipa::path(get, path = "/problems", operation_id = "list_problems", tag = "system",
    responses((status = 200, description = "A page for people.", body = String, content_type = "text/html")))]
pub async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Ok(documents().await?.problems.answer(&request))
}

/// `GET /problems/{name}`: what a kind of problem means.
#[utoipa::path(get, path = "/problems/{name}", operation_id = "show_problem", tag = "system",
    params(super::openapi::ProblemName),
    responses(
        (status = 200, description = "A page for people.", body = String, content_type = "text/html"),
        super::openapi::Missing))]
pub async fn show(request: HttpRequest, name: Path<String>) -> Result<HttpResponse, Problem> {
    let pages = &documents().await?.problem_pages;
    let page = pages.get(name.as_str()).ok_or_else(|| Problem::not_found("kind of problem"))?;
    Ok(page.answer(&request))
}

/// The list of them.
pub fn list_asset() -> Asset {
    let rows: Vec<_> = ALL
        .iter()
        .map(|kind| format!("<li><a href=\"{}\">{}</a>: {}</li>", kind.path(), kind.name, kind.title))
        .collect();
    page("Problems", &format!("<ul>\n{}\n</ul>", rows.join("\n")))
}

/// A page for each, by name.
pub fn page_assets() -> HashMap<&'static str, Asset> {
    let page = |Kind { title, status, about, .. }: &Kind| {
        let status = status.as_str();
        let all = "<a href=\"/problems\">All problems</a>";
        page(title, &format!("<p>Status: {status}</p>\n<p>{about}</p>\n<p>{all}</p>"))
    };
    ALL.iter().map(|kind| (kind.name, page(kind))).collect()
}

/// The words are ours: nothing of them needs escaping.
fn page(title: &str, body: &str) -> Asset {
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title} – ShakerQueue</title>\n<h1>{title}</h1>\n{body}\n</html>\n"
    );
    Asset::of("text/html; charset=utf-8", page)
}
