//! Rules for every request and response, on all routes.

mod browsers;
mod problems;

use crate::support::{
    Bar, PostgreSql, Sqlite,
    database::Database,
    executable::{Role, serve_settings},
    person::send,
};
use reqwest::Method;
use serde_json::json;
use std::fs::{self, File};

/// Requests of every kind that need no account, each with its status.
const REQUESTS: [(&str, &str, u16); 8] = [
    ("GET", "/healthz", 200),
    ("GET", "/recipes", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/problems", 200),
    ("GET", "/orders", 401),
    ("GET", "/nothing", 404),
    ("BREW", "/orders", 405),
    ("POST", "/login", 415),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_has_an_id_of_its_own() {
    let bar = Bar::open(Sqlite).await;
    let mut ids = Vec::new();
    for (method, path, status) in REQUESTS {
        let answer = send(bar.stranger().request(method.parse().unwrap(), path)).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        let id = answer.header("x-request-id").unwrap_or_else(|| panic!("{method} {path}: no id")).to_owned();
        if status >= 400 {
            assert_eq!(answer.body["request_id"], *id, "{method} {path}");
        }
        assert!(!ids.contains(&id), "{id} twice");
        ids.push(id);
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_own_id_is_kept_where_it_is_harmless() {
    let bar = Bar::open(Sqlite).await;
    let longest = "x".repeat(64);
    let too_long = "x".repeat(65);
    for (given, kept) in [
        ("b7ad6b7169203331", true),
        ("Table-7_round.2:1", true),
        (longest.as_str(), true),
        (too_long.as_str(), false),
        ("", false),
        ("two words", false),
        ("\"quoted\"", false),
        ("<script>", false),
        ("a=1", false),
    ] {
        let request = bar.stranger().request(Method::GET, "/orders").header("X-Request-Id", given);
        let answer = send(request).await;
        assert_eq!(answer.header("x-request-id") == Some(given), kept, "{given:?}");
        assert_eq!(answer.body["request_id"] == given, kept, "{given:?}");
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_names_the_request_that_failed_here() {
    let database = Database::new(PostgreSql).await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let environment = serve_settings(&database.url, &[]);
    let file = File::create(log.path()).unwrap();
    let mut serve = Role::start_logging_to(file.into(), &["serve", "--demo"], &environment);
    let url = serve.url().await;
    database.take_down().await;
    let login = json!({ "email": "user@example.com", "password": "password123" });
    let request =
        reqwest::Client::new().post(format!("{url}/login")).header("X-Request-Id", "round-7").json(&login);
    send(request).await.expect_problem(503, "unavailable");
    database.bring_back().await;
    // Its last lines are written then.
    serve.stop().await;
    let logged = fs::read_to_string(log.path()).unwrap();
    let line = logged.lines().find(|line| line.contains("status=503")).unwrap_or_else(|| panic!("{logged}"));
    assert!(line.contains("round-7"), "{line}");
    assert!(!logged.contains("password123"), "{logged}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_is_get_without_the_body() {
    let bar = Bar::open(Sqlite).await;
    let employee = bar.employee().await;
    for path in [
        "/healthz",
        "/recipes",
        "/recipes/negroni",
        "/orders",
        "/nothing",
        "/problems/invalid",
        "/docs/start.js",
    ] {
        let (get, head) = (employee.get(path).await, send(employee.request(Method::HEAD, path)).await);
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.text, "", "{path}");
        for header in ["content-type", "etag", "cache-control"] {
            assert_eq!(head.header(header), get.header(header), "{path}: {header}");
        }
        // Of lists nobody knows it who has not made them.
        let length = get.text.len().to_string();
        let known = (path != "/orders").then_some(length.as_str());
        assert_eq!(head.header("content-length"), known, "{path}");
    }
    assert_eq!(send(employee.request(Method::HEAD, "/login")).await.status, 405);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_lists_the_methods() {
    let bar = Bar::open(Sqlite).await;
    for (path, methods) in [
        ("/orders", "GET, HEAD, POST, OPTIONS"),
        ("/orders/7/start", "POST, OPTIONS"),
        ("/recipes/negroni", "GET, HEAD, PUT, DELETE, OPTIONS"),
    ] {
        let answer = send(bar.stranger().request(Method::OPTIONS, path)).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path}");
        assert_eq!(answer.header("allow"), Some(methods), "{path}");
    }
    send(bar.stranger().request(Method::OPTIONS, "/nothing")).await.expect_problem(404, "not-found");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_would_not_read_json_is_told_before_anything_is_done() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let order = |accept: &str| {
        let request = guest.request(Method::POST, "/orders").header("Accept", accept);
        send(request.json(&json!({ "recipe": "Negroni" })))
    };
    for accept in ["application/json", "text/html, */*;q=0.1", "application/*", "APPLICATION/JSON;q=0.5", ""]
    {
        assert_eq!(order(accept).await.status, 201, "{accept:?}");
    }
    let ordered = guest.get("/orders").await.expect(200);
    for accept in
        ["text/html", "application/xml, text/*", "application/json;q=0", "application/jsonp", "rubbish"]
    {
        order(accept).await.expect_problem(406, "not-acceptable");
    }
    assert_eq!(guest.get("/orders").await.expect(200), ordered);
    let page = bar.stranger().request(Method::GET, "/problems/invalid").header("Accept", "text/html");
    assert_eq!(send(page).await.status, 200);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_a_list_are_linked() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(guest.order("Negroni").await["id"].clone());
    }
    let (mut path, mut listed) = ("/orders?limit=2&table=&status=pending".to_owned(), Vec::new());
    loop {
        let answer = guest.get(&path).await;
        let link = answer.header("link").map(str::to_owned);
        let page = answer.expect(200);
        listed.extend(page["orders"].as_array().unwrap().iter().map(|order| order["id"].clone()));
        assert_eq!(link.is_some(), page["next_cursor"].is_string());
        let Some(link) = link else { break };
        let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
        path = next.unwrap_or_else(|| panic!("{link}")).to_owned();
    }
    listed.reverse();
    assert_eq!(listed, placed);
    bar.close().await;
}
