//! The log: its form, its content, and secrets that it must not have.

mod flood;

use crate::support::{
    Person,
    database::Database,
    eventually,
    executable::{Role, serve_settings},
    installation::Installation,
    log::Log,
    person::send,
    raw::Raw,
};
use futures_util::future::join_all;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::process::Stdio;

/// Log filter that also includes successful requests.
const ACCESS_LOG_FILTER: &str = "warn,shakerqueue=info,access=debug";

/// Starts a `serve` on SQLite that logs to this file.
async fn serve(log: &Log, database: &Database, settings: &[(&str, &str)]) -> (Role, String) {
    let settings = serve_settings(&database.url, settings);
    let mut role = Role::start_logging_to(log.file(), &["serve", "--demo"], &settings);
    let url = role.url().await;
    (role, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_one_line_with_its_id() {
    let (log, database) = (Log::new(), Database::file());
    let settings =
        [("LOG_FORMAT", "json"), ("RUST_LOG", ACCESS_LOG_FILTER), ("CORS_ORIGINS", "https://bar.example")];
    let (role, url) = serve(&log, &database, &settings).await;
    let http = Client::new();
    let stranger = Person::new(&http, &url, None);
    let preflight = |request: reqwest::RequestBuilder| {
        request.header("Origin", "https://bar.example").header("Access-Control-Request-Method", "POST")
    };
    let requests = [
        ("GET", "/recipes", "/recipes", 200),
        ("HEAD", "/recipes", "/recipes", 200),
        ("GET", "/recipes/Negroni", "/recipes/{id}", 200),
        ("GET", "/recipes/zq-7331?zq-7332=1", "/recipes/{id}", 404),
        ("POST", "/orders", "/orders", 401),
        ("DELETE", "/orders", "/orders", 405),
        ("OPTIONS", "/orders", "/orders", 200),
        ("BREW", "/zq-7333", "", 404),
        ("GET", "/readyz", "/readyz", 200),
    ];
    for (number, (method, path, _, status)) in requests.iter().enumerate() {
        let request = stranger.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
        let request = request.header("X-Request-Id", format!("request-{number}"));
        let request = if *method == "OPTIONS" { preflight(request) } else { request };
        assert_eq!(send(request).await.status, *status, "{method} {path}");
    }
    role.stop().await;
    let lines = log.objects();
    for (number, (method, _, route, status)) in requests.iter().enumerate() {
        let id = format!("request-{number}");
        let of: Vec<_> = lines.iter().filter(|line| line["request_id"] == id).collect();
        let [line] = of[..] else { panic!("{} lines for {method} {route}: {of:?}", of.len()) };
        let method = if *method == "BREW" { "_OTHER" } else { method };
        assert_eq!(
            (&line["method"], &line["route"], &line["status"]),
            (&json!(method), &json!(route), &json!(status))
        );
        assert!(line["ms"].as_f64().is_some_and(|ms| ms > 0.0), "{line}");
        assert!(line["timestamp"].is_string() && line["level"] == "DEBUG", "{line}");
    }
    // What clients write in paths may be anything.
    assert!(!log.text().contains("zq-"), "{}", log.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_answered_tells_why_and_nothing_else_is_told() {
    let (bar, log) = (Installation::new().await, Log::new());
    let settings = [("RUST_LOG", ""), ("LOG_FORMAT", "json")];
    let environment = [&bar.environment()[..], &settings].concat();
    let (role, url) = bar.serve_role(Role::start_logging_to(log.file(), &["serve"], &environment)).await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    guest.get("/orders").await.expect(200);
    bar.database.take_down().await;
    let request = guest.request(Method::GET, "/orders").header("X-Request-Id", "round-8");
    send(request).await.expect_problem(503, "unavailable");
    role.stop().await;
    let told: Vec<_> = log.objects().into_iter().filter(|line| line["target"] == "access").collect();
    let [line] = &told[..] else { panic!("not one line: {told:?}") };
    assert_eq!((&line["request_id"], &line["status"]), (&json!("round-8"), &json!(503)));
    assert_eq!(line["level"], "WARN");
    // The server refuses a new connection, or ends the one that was open.
    assert!(line["cause"].as_str().is_some_and(|cause| cause.contains("connection")), "{line}");
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_order_is_a_line_at_the_usual_level() {
    const ORDERS: usize = 300;
    let bar = Installation::new().await;
    let logs = [Log::new(), Log::new()];
    let environment = [&bar.environment()[..], &[("RUST_LOG", "info")]].concat();
    let (serve, url) = bar.serve_role(Role::start_logging_to(logs[0].file(), &["serve"], &environment)).await;
    let mut work = Role::start_logging_to(logs[1].file(), &["work"], &environment);
    work.says("records orders").await;
    let lines = || logs.iter().map(|log| log.text().lines().count()).sum::<usize>();
    let guest = bar.sign_in(&url, "user@example.com").await;
    let stored = async |orders: i64| {
        eventually("the orders to be stored", async || {
            (bar.database.count("orders").await == orders).then_some(())
        })
        .await;
    };
    guest.order("Negroni").await;
    stored(1).await;
    // The worker receives from two queues; it may still begin with the second one.
    eventually("both queues to be received from", async || {
        (logs[1].text().matches("receiving orders").count() == 2).then_some(())
    })
    .await;
    let before = lines();
    for _ in 0..3 {
        let orders = (0..ORDERS / 3).map(|_| guest.post("/orders", json!({ "recipe": "Negroni" })));
        for answer in join_all(orders).await {
            answer.expect(202);
        }
    }
    stored(1 + i64::try_from(ORDERS).unwrap()).await;
    assert_eq!(lines(), before, "{}{}", logs[0].text(), logs[1].text());
    work.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_to_start_is_told_in_the_same_form() {
    for (format, begins) in [("text", "shakerqueue: "), ("json", "{\"level\":\"ERROR\",")] {
        let environment = [("DATABASE_URL", "mysql://bar"), ("LOG_FORMAT", format)];
        let output = crate::support::executable::run(&["serve"], &environment).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.starts_with(begins) && said.contains("DATABASE_URL must begin with"), "{said}");
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_holds_nobody_up() {
    let database = Database::file();
    let environment = serve_settings(&database.url, &[("RUST_LOG", ACCESS_LOG_FILTER)]);
    // A pipe takes 64 KiB, which this is several times.
    let mut role = Role::start_logging_to(Stdio::piped(), &["serve"], &environment);
    let url = role.url().await;
    let stranger = Person::new(&Client::new(), &url, None);
    for _ in 0..2000 {
        stranger.get("/healthz").await.expect(200);
    }
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_can_not_be_read_is_said_so() {
    let (log, database) = (Log::new(), Database::file());
    let (role, _) = serve(&log, &database, &[("RUST_LOG", "shakerqueue=loud")]).await;
    role.stop().await;
    assert!(
        log.text().contains("failed to parse RUST_LOG") && log.text().contains("stopping"),
        "{}",
        log.text()
    );
}

/// Routes of the API; `{}` stands for an id or a name.
const ROUTES: [&str; 28] = [
    "/orders",
    "/orders/next",
    "/orders/{}",
    "/orders/{}/start",
    "/orders/{}/fail",
    "/recipes",
    "/recipes/{}",
    "/recipes/{}/availability",
    "/register",
    "/login",
    "/token/refresh",
    "/logout",
    "/me",
    "/me/password",
    "/users",
    "/users/{}",
    "/audit",
    "/dead-letters",
    "/dead-letters/{}",
    "/dead-letters/{}/replay",
    "/docs",
    "/docs/{}",
    "/problems/{}",
    "/metrics",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/{}",
];

const BODY_FIELDS: [&str; 14] = [
    "recipe",
    "note",
    "table",
    "email",
    "password",
    "current_password",
    "new_password",
    "username",
    "reason",
    "refresh_token",
    "name",
    "method",
    "role",
    "customer_id",
];

const HEADERS: [&str; 15] = [
    "Authorization",
    "Cookie",
    "User-Agent",
    "Referer",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Prefer",
    "X-Forwarded-For",
    "Forwarded",
    "tracestate",
    "traceparent",
    "Origin",
    "X-Anything",
    "Accept-Encoding",
];

/// Builds a value to look for in the log, named after the part of a request that has it.
fn secret(part: &str) -> String {
    format!("zq-{part}-secret")
}

fn secret_body() -> Value {
    let mut body = json!({ secret("field"): secret("value"), "items": [{ "recipe": secret("recipe"), "note": secret("note") }] });
    for field in BODY_FIELDS {
        body[field] = secret(field).into();
    }
    body
}

/// Sends secrets in every part of a request that takes input, to every route.
async fn send_secrets(url: &str, token: &str) {
    let person = Person::new(&Client::new(), url, Some(token));
    let body = secret_body();
    for route in ROUTES {
        let path = route.replace("{}", &secret("path"));
        send_secret_bodies(&person, route, &path, &body).await;
        for header in HEADERS {
            send(person.request(Method::POST, &path).header(header, secret("header")).json(&body)).await;
        }
        let name = secret("name");
        let head = "Host: bar\r\nX-Request-Id: zq secret id secret";
        send_bytes(url, &format!("GET {path} HTTP/1.1\r\n{head}\r\n{name}: x\r\n\r\n")).await;
    }
    send_bytes(url, &format!("{} / HTTP/1.1\r\n\r\n", secret("method"))).await;
}

/// Sends all fields together, which most routes refuse as too many, and each field alone.
async fn send_secret_bodies(person: &Person, route: &str, path: &str, body: &Value) {
    let target = format!("{path}?cursor={}&q={}", secret("query"), secret("search"));
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let request = |body: &Value| person.request(method.clone(), &target).json(body);
        send(request(body)).await;
        if method == Method::POST && !route.contains("{}") {
            for (name, value) in body.as_object().expect("an object") {
                send(request(&json!({ name: value }))).await;
            }
        }
    }
}

async fn send_bytes(url: &str, bytes: &str) {
    let mut raw = Raw::open(url).await;
    raw.send(bytes.as_bytes()).await;
    raw.more(&mut Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_put_in_is_in_the_log() {
    for format in ["text", "json"] {
        let (log, database) = (Log::new(), Database::file());
        let settings = [
            ("LOG_FORMAT", format),
            ("RUST_LOG", "warn,shakerqueue=trace,access=trace"),
            ("TRUSTED_PROXIES", "127.0.0.1"),
        ];
        let (role, url) = serve(&log, &database, &settings).await;
        let admin = Person::new(&Client::new(), &url, None).sign_in("admin@example.com").await;
        let token = admin.token();
        send_secrets(&url, token).await;
        role.stop().await;
        let text = log.text();
        assert!(text.lines().count() > 300, "it says nothing: {text}");
        for secret in ["zq", "secret", "password123", token] {
            let told: Vec<_> = text.lines().filter(|line| line.contains(secret)).collect();
            assert!(told.is_empty(), "{secret}: {}", told.join("\n"));
        }
    }
}
