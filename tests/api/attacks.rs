//! Requests that only an attacker sends.

use crate::support::{Bar, Sqlite, database::Database, person::send, raw::Raw};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_written_in_another_way_is_under_the_same_limit() {
    let limits = "login-address=3,registration-address=1,writing-address=100";
    let bar = Bar::open_on(Database::new(Sqlite).await, &["--rate-limits", limits]).await;
    let ask = async |path: &str| {
        let account = json!({ "email": "nobody@bar.example", "password": "a good password" });
        bar.stranger().post(path, account).await
    };
    for path in ["/login", "/%6cogin", "/%6C%6F%67%69%6E"] {
        ask(path).await.expect_problem(401, "wrong-password");
    }
    for path in ["/login", "/%6cogin", "/l%6fgin"] {
        ask(path).await.expect_problem(429, "too-many-requests");
    }
    let register = async |path: &str| {
        let account =
            json!({ "username": "Ana", "email": "ana@bar.example", "password": "seven green limes" });
        bar.stranger().post(path, account).await
    };
    register("/%72egister").await.expect(201);
    register("/registe%72").await.expect_problem(429, "too-many-requests");
    bar.close().await;
}

/// Headers of requests whose end a proxy and the server behind it could see in different places.
const AMBIGUOUS_HEADERS: [&str; 12] = [
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Content-Length: 0\r\nContent-Length: 5",
    "Content-Length: 0, 5",
    "Content-Length: +0",
    "Content-Length: 0x0",
    "Content-Length: -1",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding : chunked",
    "X-Folded: a\r\n Transfer-Encoding: chunked",
];

/// Builds an ambiguous request, followed by one that must not be answered.
fn doubtful(headers: &str) -> String {
    let smuggled = "0\r\n\r\nGET /recipes HTTP/1.1\r\nHost: bar\r\n\r\n";
    format!("POST /orders HTTP/1.1\r\nHost: bar\r\n{headers}\r\n\r\n{smuggled}")
}

/// Returns the requests of this file as bytes: ambiguous ones, and all others.
pub fn requests() -> (Vec<String>, Vec<String>) {
    let asked = ["/login", "/%6cogin", "/%6C%6F%67%69%6E", "/l%6fgin", "/%72egister", "/registe%72"];
    let account = json!({ "email": "nobody@bar.example", "password": "a good password" }).to_string();
    let asked = asked.map(|path| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: bar\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{account}",
            account.len()
        )
    });
    (AMBIGUOUS_HEADERS.map(doubtful).to_vec(), asked.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_end_is_doubtful_is_refused_and_nothing_behind_it_is_read() {
    let bar = Bar::open(Sqlite).await;
    for headers in AMBIGUOUS_HEADERS {
        let mut raw = Raw::open(&bar.url).await;
        raw.send(doubtful(headers).as_bytes()).await;
        let mut answers = Vec::new();
        while raw.more(&mut answers).await {}
        let answers = String::from_utf8_lossy(&answers);
        assert!(answers.starts_with("HTTP/1.1 400 "), "{headers}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{headers}: {answers}");
    }
    bar.close().await;
}

/// Field names that look like indexes in an error message, or have a meaning in a JSON Pointer.
const FIELD_NAMES: [&str; 9] = ["[0]", "[A]", "[9", "]", "..", ".", "~1", "a/b", ""];

/// Returns each route that reads a body, with a valid body.
fn bodies() -> Vec<(Method, &'static str, Value)> {
    let order = json!({ "items": [{ "recipe": "Negroni" }] });
    let recipe = json!({ "name": "Spritz", "build": "built", "glass": "goblet", "method": "Build.",
        "ingredients": [{ "name": "prosecco", "amount": 90, "unit": "ml" }] });
    vec![
        (Method::POST, "/login", json!({ "email": "a@example.com", "password": "seven limes" })),
        (
            Method::POST,
            "/register",
            json!({ "username": "A", "email": "a@example.com", "password": "seven limes" }),
        ),
        (Method::POST, "/token/refresh", json!({ "refresh_token": "x" })),
        (Method::PUT, "/me/password", json!({ "current_password": "x", "new_password": "seven limes" })),
        (Method::POST, "/orders", order),
        (Method::POST, "/orders/01a203c7-a828-7562-865f-b3ef9919e243/cancel", json!({ "reason": "late" })),
        (
            Method::POST,
            "/orders/cancel",
            json!({ "customer_id": "01a203c7-9c4d-73e0-b5cb-40c566f38883", "reason": "late" }),
        ),
        (Method::POST, "/recipes", recipe.clone()),
        (Method::PUT, "/recipes/Negroni", recipe),
        (Method::PUT, "/recipes/Negroni/availability", json!({ "available": true })),
        (Method::PATCH, "/users/01a203c7-9c4d-73e0-b5cb-40c566f38883", json!({ "active": true })),
    ]
}

/// Returns copies of the body with the field added to the body itself, and to each object in it.
fn with_field(body: &Value, key: &str) -> Vec<Value> {
    let inner = ["items", "ingredients"].map(|list| format!("/{list}/0"));
    let places = std::iter::once(String::new()).chain(inner);
    places
        .filter_map(|place| {
            let mut body = body.clone();
            body.pointer_mut(&place)?.as_object_mut()?.insert(key.to_owned(), json!(1));
            Some(body)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_with_any_field_is_answered_and_keeps_no_thread() {
    let bar =
        Bar::open_on(Database::new(Sqlite).await, &["--http-threads", "1", "--rate-limits", "off"]).await;
    let admin = bar.admin().await;
    for (method, path, body) in bodies() {
        for (key, body) in
            FIELD_NAMES.iter().flat_map(|key| with_field(&body, key).into_iter().map(move |body| (key, body)))
        {
            let request = admin.request(method.clone(), path).header("If-Match", "*").json(&body);
            let problem = send(request).await.expect_problem(422, "invalid");
            let named = problem["errors"].as_array().into_iter().flatten();
            let named = named.filter_map(|error| error["field"].as_str()).any(|field| field.ends_with(key));
            assert!(named, "{method} {path} with {key:?}: {problem}");
        }
    }
    bar.stranger().get("/healthz").await.expect(200);
    bar.close().await;
}
