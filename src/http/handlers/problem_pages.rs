//! The pages that the types of problems lead to.

use crate::http::{
    asset::Asset,
    problem::types::{ALL, ProblemType},
};
use std::collections::HashMap;

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
    let page = |ProblemType { title, status, about, .. }: &ProblemType| {
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
