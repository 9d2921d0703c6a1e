//! Requests to change the protocol, and other headers about the connection.

use crate::support::{
    Bar, Person, Sqlite, WAIT_TIMEOUT,
    database::Database,
    nginx::Nginx,
    person::{Answer, send},
    raw::Raw,
};
use reqwest::{Client, Method};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const ORDER_BODY: &str = r#"{"recipe":"Negroni"}"#;

/// Builds the head of an order with additional headers.
fn head(version: &str, token: &str, headers: &str) -> String {
    format!(
        "POST /orders HTTP/{version}\r\nHost: bar\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n{headers}"
    )
}

/// Checks that the connection persists after an answer as its headers say. HTTP/1.1 persists by default (RFC 9112,
/// section 9.3).
async fn goes_on(raw: &mut Raw, answer: &Answer) -> bool {
    let said = answer.header("connection").unwrap_or_default().to_lowercase();
    assert!(!said.contains("upgrade"), "it changes to no other protocol: {said}");
    if said.contains("close") {
        let end = timeout(WAIT_TIMEOUT, raw.more(&mut Vec::new())).await;
        assert_eq!(end, Ok(false), "it goes on");
        return false;
    }
    raw.send(b"GET /healthz HTTP/1.1\r\nHost: bar\r\n\r\n").await;
    let next = raw.answer().await.expect("it ended without a word");
    assert_eq!(next.status, 200);
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_asks_for_another_protocol_is_an_order_and_the_connection_ends_as_it_says() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let length = format!("Content-Length: {}\r\n\r\n{ORDER_BODY}", ORDER_BODY.len());
    let chunks =
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{ORDER_BODY}\r\n0\r\n\r\n", ORDER_BODY.len());
    for (version, headers) in [
        ("1.1", "Connection: upgrade\r\n"),
        ("1.1", "Connection: keep-alive, Upgrade\r\n"),
        ("1.1", "Connection: keep-alive\r\nConnection: upgrade\r\n"),
        ("1.1", "Connection: close, upgrade\r\n"),
        ("1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n"),
        ("1.1", "Connection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n"),
        ("1.1", "Upgrade: websocket\r\n"),
        (
            "1.1",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
        ),
        ("1.1", "Connection: upgrade\r\nUpgrade: TLS/1.0\r\n"),
        ("1.1", "Connection: upgrade\r\nUpgrade: h2c, websocket\r\n"),
        ("1.1", "Connection: TE\r\nTE: trailers, deflate;q=0.5\r\n"),
        ("1.1", "Connection: close\r\n"),
        ("1.1", ""),
        ("1.0", "Connection: keep-alive\r\n"),
        ("1.0", "Connection: upgrade\r\n"),
        ("1.0", "Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n"),
    ] {
        for body in [&length, &chunks] {
            if version == "1.0" && body.starts_with("Transfer") {
                continue;
            }
            let mut raw = Raw::open(&bar.url).await;
            let started = Instant::now();
            raw.send(format!("{}{body}", head(version, guest.token(), headers)).as_bytes()).await;
            let answer = raw.answer().await.unwrap_or_else(|| panic!("no answer: {headers:?}"));
            assert_eq!(answer.status, 201, "{headers:?}: {answer:?}");
            // A body is waited for for 10 s.
            assert!(started.elapsed() < Duration::from_secs(9), "{headers:?}: {:?}", started.elapsed());
            if version == "1.1" {
                let asked_to = goes_on(&mut raw, &answer).await;
                assert!(!headers.contains("close") || !asked_to, "{headers:?}");
            } else {
                let kept = answer.header("connection") == Some("keep-alive");
                assert_eq!(kept, headers == "Connection: keep-alive\r\n", "{headers:?}");
                assert!(
                    kept || timeout(WAIT_TIMEOUT, raw.more(&mut Vec::new())).await == Ok(false),
                    "{headers:?}"
                );
            }
        }
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_answered_to_such_a_request_the_connection_ends_as_it_says() {
    let bar = Bar::open_on(Database::new(Sqlite).await, &["--cors-origins", "https://bar.example"]).await;
    for (request, status) in [
        ("GET /recipes", 200),
        ("GET /orders", 401),
        ("GET /nothing", 404),
        ("DELETE /orders", 405),
        ("POST /login", 415),
        ("OPTIONS /recipes", 204),
    ] {
        for headers in [
            "Connection: upgrade\r\n",
            "Connection: upgrade\r\nUpgrade: websocket\r\n",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
            "Connection: upgrade\r\nAccept: text/html\r\n",
        ] {
            let status = if headers.contains("text/html") { 406 } else { status };
            let mut raw = Raw::open(&bar.url).await;
            let accept = if status == 406 { "" } else { "Accept: */*\r\n" };
            raw.send(format!("{request} HTTP/1.1\r\nHost: bar\r\n{accept}{headers}\r\n").as_bytes()).await;
            let answer = if status == 204 {
                let mut bytes = Vec::new();
                while !bytes.ends_with(b"\r\n\r\n") {
                    assert!(
                        timeout(WAIT_TIMEOUT, raw.more(&mut bytes)).await.expect("an answer"),
                        "{request} {headers}"
                    );
                }
                assert!(bytes.starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&bytes));
                assert!(String::from_utf8_lossy(&bytes).contains("connection: close"));
                continue;
            } else {
                raw.answer().await.unwrap_or_else(|| panic!("no answer: {request} {headers}"))
            };
            assert_eq!(answer.status, status, "{request} {headers}");
            goes_on(&mut raw, &answer).await;
        }
    }
    // What CORS answers by itself.
    let mut raw = Raw::open(&bar.url).await;
    raw.send(
        b"OPTIONS /orders HTTP/1.1\r\nHost: bar\r\nConnection: upgrade\r\nOrigin: https://bar.example\r\nAccess-Control-Request-Method: POST\r\n\r\n",
    )
    .await;
    let answer = raw.answer().await.expect("an answer");
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, Some("https://bar.example"))
    );
    goes_on(&mut raw, &answer).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_body_of_such_a_request_is_read_to_its_length_and_no_further() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let head = head("1.1", guest.token(), "Connection: upgrade\r\nUpgrade: websocket\r\n");
    // In two pieces, and with something behind it.
    let mut raw = Raw::open(&bar.url).await;
    let (first, rest) = ORDER_BODY.split_at(7);
    raw.send(format!("{head}Content-Length: {}\r\n\r\n{first}", ORDER_BODY.len()).as_bytes()).await;
    raw.send(format!("{rest}GET /healthz HTTP/1.1\r\nHost: bar\r\n\r\n").as_bytes()).await;
    let answer = raw.answer().await.expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (201, Some("close")));
    // Without all of it there is no order.
    let mut raw = Raw::open(&bar.url).await;
    raw.send(format!("{head}Content-Length: {}\r\n\r\n{first}", ORDER_BODY.len()).as_bytes()).await;
    raw.hang_up().await;
    let answer = raw.answer().await;
    assert!(answer.is_none_or(|answer| answer.status == 400), "half an order");
    // One that is announced to be too large is not read.
    let mut raw = Raw::open(&bar.url).await;
    raw.send(format!("{head}Content-Length: 100000\r\n\r\n{first}").as_bytes()).await;
    raw.answer().await.expect("an answer").expect_problem(413, "too-large");
    let orders = guest.get("/orders").await.expect(200);
    assert_eq!(orders["orders"].as_array().unwrap().len(), 1);
    bar.close().await;
}

/// Reads a connection to its end.
async fn until_end(raw: &mut Raw) -> String {
    let mut bytes = Vec::new();
    let read = async { while raw.more(&mut bytes).await {} };
    timeout(WAIT_TIMEOUT, read).await.expect("the connection ends by itself");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_an_answer_that_ends_the_connection_nothing_is_processed_and_it_ends_by_itself() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let order = |headers: &str, length: usize| {
        format!("{}Content-Length: {length}\r\n\r\n{ORDER_BODY}", head("1.1", guest.token(), headers))
    };
    let get = |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nHost: bar\r\n{headers}\r\n");
    let mut orders = 0;
    for headers in [
        "Connection: close\r\n",
        "Connection: keep-alive, close\r\n",
        "Connection: upgrade\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
    ] {
        for (first, is_order) in [
            (order(headers, ORDER_BODY.len()), true),
            (get("/recipes", headers), false),
            (get("/recipes?q=gin", headers), false),
            (get("/healthz", headers), false),
            (get("/nothing", headers), false),
        ] {
            for behind in [
                order("", ORDER_BODY.len()).repeat(3),
                get("/healthz", "").repeat(20),
                // Its body never comes whole.
                order("", ORDER_BODY.len() + 1),
                "GET /healthz HTTP/1.1\r\nHo".to_owned(),
                "rubbish\r\n\r\n".to_owned(),
            ] {
                for hangs_up in [false, true] {
                    orders += usize::from(is_order);
                    let mut raw = Raw::open(&bar.url).await;
                    raw.send(format!("{first}{behind}").as_bytes()).await;
                    if hangs_up {
                        raw.hang_up().await;
                    }
                    let said = until_end(&mut raw).await;
                    let answers = said.matches("HTTP/1.1 ").count();
                    let refused = usize::from(behind.starts_with("rubbish"));
                    assert!((1..=1 + refused).contains(&answers), "{headers} {first} {behind}: {said}");
                    let (head, _) = said.split_once("\r\n\r\n").expect("a head");
                    assert!(head.contains("connection: close"), "{headers} {first} {behind}: {head}");
                }
            }
        }
    }
    // More than is read, which takes nothing back of the answer.
    for path in ["/openapi.json", "/recipes?q=gin"] {
        let mut raw = Raw::open(&bar.url).await;
        let behind = order("", ORDER_BODY.len()).repeat(50);
        raw.send(format!("{}{behind}", get(path, "Connection: close\r\n")).as_bytes()).await;
        let answer = raw.answer().await.expect("an answer");
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{path}");
        assert_eq!(until_end(&mut raw).await, "", "{path}");
    }
    let placed = bar.employee().await.get("/orders?limit=100").await.expect(200);
    assert_eq!(placed["orders"].as_array().map(Vec::len), Some(orders), "orders behind an end were placed");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_ends_the_connection_is_answered_behind_others() {
    let bar = Bar::open(Sqlite).await;
    for path in ["/healthz", "/recipes", "/recipes?q=gin"] {
        let get = |headers: &str| format!("GET {path} HTTP/1.1\r\nHost: bar\r\n{headers}\r\n");
        let mut raw = Raw::open(&bar.url).await;
        raw.send(format!("{}{}", get("").repeat(3), get("Connection: close\r\n")).as_bytes()).await;
        let said = until_end(&mut raw).await;
        assert_eq!(said.matches("HTTP/1.1 200").count(), 4, "{path}");
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_waits_to_be_asked_for_the_body_is_asked() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    for headers in ["", "Connection: upgrade\r\n", "Connection: upgrade\r\nUpgrade: websocket\r\n"] {
        let mut raw = Raw::open(&bar.url).await;
        let head = head("1.1", guest.token(), headers);
        raw.send(
            format!("{head}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n", ORDER_BODY.len()).as_bytes(),
        )
        .await;
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            assert!(timeout(WAIT_TIMEOUT, raw.more(&mut asked)).await.expect("an answer"), "{headers}");
        }
        assert_eq!(asked, b"HTTP/1.1 100 Continue\r\n\r\n", "{headers}");
        raw.send(ORDER_BODY.as_bytes()).await;
        let answer = raw.answer().await.expect("an answer");
        assert_eq!(answer.status, 201, "{headers}: {answer:?}");
        goes_on(&mut raw, &answer).await;
    }
    bar.close().await;
}

/// Directives of common nginx configurations.
const NGINX_LINES: [&str; 4] = [
    // For WebSockets, for all requests alike.
    "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";",
    // The same, with the map of its manual.
    "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;",
    // For connections that are kept.
    "proxy_http_version 1.1; proxy_set_header Connection \"\";",
    // None: HTTP/1.0 to the bar.
    "",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_order_is_lost_behind_nginx() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    for lines in NGINX_LINES {
        let Some(nginx) = Nginx::before(&bar.url, lines).await else {
            eprintln!("NOT RUN: nginx is not installed");
            break;
        };
        let http = Client::new();
        let guests = (0..8).map(|_| {
            let guest = Person::new(&http, &nginx.url, Some(guest.token()));
            async move {
                for round in 0..30 {
                    let order = guest.request(Method::POST, "/orders").json(&json!({ "recipe": "Negroni" }));
                    // Now and then one that asks for WebSockets itself.
                    let order = if round % 10 == 9 { order.header("Upgrade", "websocket") } else { order };
                    send(order).await.expect(201);
                }
            }
        });
        futures_util::future::join_all(guests).await;
    }
    bar.close().await;
}
