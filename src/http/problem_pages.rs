//! The pages that the types of problems lead to.

use super::{
    kind::{ALL, Kind},
    problem::Problem,
};
use actix_web::{HttpResponse, Responder, http::header::ContentType, web::Path};

/// `GET /problems`: every kind of problem there is.
#[utoipa::path(get, path = "/problems", operation_id = "list_problems", tag = "system",
    responses((status = 200, description = "A page for people.", body = String, content_type = "text/html")))]
pub async fn list() -> impl Responder {
    let rows: Vec<_> = ALL
        .iter()
        .map(|kind| format!("<li><a href=\"{}\">{}</a>: {}</li>", kind.path(), kind.name, kind.title))
        .collect();
    page("Problems", &format!("<ul>\n{}\n</ul>", rows.join("\n")))
}

/// `GET /problems/{name}`: what a kind of problem means.
#[utoipa::path(get, path = "/problems/{name}", operation_id = "show_problem", tag = "system",
    params(super::openapi::ProblemName),
    responses(
        (status = 200, description = "A page for people.", body = String, content_type = "text/html"),
        super::openapi::Missing))]
pub async fn show(name: Path<String>) -> Result<impl Responder, Problem> {
    let Kind { title, status, about, .. } = ALL
        .iter()
        .find(|kind| kind.name == name.as_str())
        .ok_or_else(|| Problem::not_found("kind of problem"))?;
    Ok(page(
        title,
        &format!(
            "<p>Status: {}</p>\n<p>{about}</p>\n<p><a href=\"/problems\">All problems</a></p>",
            status.as_str()
        ),
    ))
}

/// The words are ours: nothing of them needs escaping.
fn page(title: &str, body: &str) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::html()).body(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title} – ShakerQueue</title>\n<h1>{title}</h1>\n{body}\n</html>\n"
    ))
}
