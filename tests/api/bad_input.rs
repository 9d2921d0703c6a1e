//! Invalid requests: each gets a 4xx that names the fault, and has no effect.

mod bodies;
mod lists;
mod orders;
mod routes;

use crate::support::{
    Bar,
    person::{Answer, send},
};
use futures_util::future::BoxFuture;
use reqwest::RequestBuilder;
use serde_json::Value;

/// A wrong request, its status and problem type, and the field that is named, `""` for none.
type Case<Request> = (Request, u16, &'static str, &'static str);

/// Words about the implementation that no response may have.
const INTERNAL_WORDS: [&str; 9] =
    ["select", "insert", "postgres", "sqlite", "diesel", "bcrypt", "$2", "panicked", "src/"];

/// Sends each request, and fails with all answers that differ from the expected ones.
fn are_refused(bar: &Bar, cases: impl IntoIterator<Item = Case<RequestBuilder>>) -> BoxFuture<'_, ()> {
    Box::pin(are_all_refused(bar, cases.into_iter().collect()))
}

async fn are_all_refused(bar: &Bar, cases: Vec<Case<RequestBuilder>>) {
    let bartender = bar.employee().await;
    let before = bartender.get("/orders").await.expect(200);
    let mut wrong = Vec::new();
    for (request, status, kind, field) in cases {
        let (client, request) = request.build_split();
        let request = request.expect("a request that can be sent");
        let shown = shown(&request);
        let answer = send(RequestBuilder::from_parts(client, request)).await;
        if let Err(problem) = refuses(&answer, status, kind, field) {
            wrong.push(format!("{shown}\n  {problem}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(bartender.get("/orders").await.expect(200), before, "something was half done");
    bartender.get("/healthz").await.expect(200);
}

/// Compares the answer with the expected problem.
fn refuses(answer: &Answer, status: u16, kind: &str, field: &str) -> Result<(), String> {
    let body = &answer.body;
    let named = body["errors"][0]["field"].as_str().unwrap_or_default();
    let as_it_must_be = answer.status == status
        && answer.header("content-type") == Some("application/problem+json")
        && body["type"] == format!("/problems/{kind}")
        && body["status"] == status
        && body["title"].is_string()
        && body["detail"].is_string()
        && named == field;
    if !as_it_must_be {
        return Err(format!("answered {} {}, not {status} {kind} {field:?}", answer.status, answer.text));
    }
    let text = format!("{}{:?}", answer.text, answer.headers).to_lowercase();
    match INTERNAL_WORDS.iter().find(|word| text.contains(*word)) {
        Some(word) => Err(format!("tells of {word:?}: {}", answer.text)),
        None => Ok(()),
    }
}

/// Formats a request, with at most 120 characters of the body.
fn shown(request: &reqwest::Request) -> String {
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    let body: String = String::from_utf8_lossy(body).chars().take(120).collect();
    format!("{} {} {body}", request.method(), request.url().path_and_query())
}

trait PathAndQuery {
    fn path_and_query(&self) -> String;
}

impl PathAndQuery for reqwest::Url {
    fn path_and_query(&self) -> String {
        self.query().map_or_else(|| self.path().to_owned(), |query| format!("{}?{query}", self.path()))
    }
}

async fn count(bar: &Bar) -> usize {
    let orders: Value = bar.employee().await.get("/orders").await.expect(200);
    orders["orders"].as_array().expect("orders").len()
}
