//! Slow clients, and heads that are too large.

use crate::support::{Bar, Sqlite, raw::Raw};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// More than the 5 s that a head may take and the second after which the connection is closed.
const HANGUP_TIMEOUT: Duration = Duration::from_secs(12);
/// Interval between two bytes of a slow client.
const BYTE_INTERVAL: Duration = Duration::from_millis(200);

/// Sends bytes one by one, repeatedly, until the server closes the connection. Returns the server's answer, and the time
/// until the close.
async fn dribble(raw: &mut Raw, bytes: &[u8]) -> (String, Duration) {
    let started = Instant::now();
    let mut answer = Vec::new();
    for byte in bytes.iter().cycle() {
        raw.send(&[*byte]).await;
        match timeout(BYTE_INTERVAL, raw.more(&mut answer)).await {
            Ok(false) => break,
            _ => assert!(
                started.elapsed() < HANGUP_TIMEOUT,
                "still let in: {}",
                String::from_utf8_lossy(&answer)
            ),
        }
    }
    (String::from_utf8(answer).expect("UTF-8"), started.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_comes_byte_by_byte_is_cut() {
    let bar = Bar::open(Sqlite).await;
    let mut first = Raw::open(&bar.url).await;
    let mut second = Raw::open(&bar.url).await;
    second.send(b"GET /healthz HTTP/1.1\r\nHost: bar\r\n\r\n").await;
    assert_eq!(second.answer().await.expect("an answer").status, 200);
    // The start of a request, and a header without end.
    first.send(b"GET /recipes HTTP/1.1\r\nHost: bar\r\nX: ").await;
    second.send(b"GET /recipes HTTP/1.1\r\nHost: bar\r\nX: ").await;
    let ((answer, took), (later, later_took)) =
        tokio::join!(dribble(&mut first, b"slow"), dribble(&mut second, b"slow"));
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(later, "", "a later head is cut without a word");
    for took in [took, later_took] {
        assert!(took > Duration::from_secs(3), "cut after {took:?}: an honest client may be that slow");
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_says_nothing_is_cut() {
    let bar = Bar::open(Sqlite).await;
    let mut raw = Raw::open(&bar.url).await;
    let mut answer = Vec::new();
    let ended = timeout(HANGUP_TIMEOUT, async { while raw.more(&mut answer).await {} }).await;
    assert!(ended.is_ok(), "still let in: {}", String::from_utf8_lossy(&answer));
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_nobody_waits_for_keeps_no_connection() {
    let bar = Bar::open(Sqlite).await;
    // Not signed in: answered before the body is looked at, of which there is always more.
    let mut chunked = Raw::open(&bar.url).await;
    chunked.send(b"POST /orders HTTP/1.1\r\nHost: bar\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let mut announced = Raw::open(&bar.url).await;
    announced.send(b"POST /orders HTTP/1.1\r\nHost: bar\r\nContent-Length: 60000\r\n\r\n").await;
    let ((one, _), (other, _)) =
        tokio::join!(dribble(&mut chunked, b"1\r\nx\r\n"), dribble(&mut announced, b"x"));
    for answer in [one, other] {
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_comes_byte_by_byte_is_cut() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let mut raw = Raw::open(&bar.url).await;
    let head = format!(
        "POST /orders HTTP/1.1\r\nHost: bar\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n",
        guest.token()
    );
    raw.send(head.as_bytes()).await;
    // 10 s for the body, and one until the rest is no longer listened to.
    let (answer, _) = dribble(&mut raw, b" ").await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("/problems/too-slow"), "{answer}");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_hold_up_nobody() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let mut slow = Vec::new();
    for _ in 0..300 {
        let mut raw = Raw::open(&bar.url).await;
        raw.send(b"GET /recipes HTTP/1.1\r\nHost: bar\r\nX: ").await;
        slow.push(raw);
    }
    guest.order("Negroni").await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_too_large_is_refused() {
    let bar = Bar::open(Sqlite).await;
    let header = |size: usize| format!("X-Long: {}\r\n", "x".repeat(size));
    let path = |size: usize| format!("/recipes?{}", "x".repeat(size));
    // With Host these are one header more.
    for (path, headers, status, kind) in [
        ("/recipes".to_owned(), "X: x\r\n".repeat(63), 200, ""),
        ("/recipes".to_owned(), "X: x\r\n".repeat(64), 431, "head-too-large"),
        ("/recipes".to_owned(), header(16_000), 200, ""),
        ("/recipes".to_owned(), header(16_400), 431, "head-too-large"),
        ("/recipes".to_owned(), header(9000).repeat(2), 431, "head-too-large"),
        (path(4000), String::new(), 422, "invalid"),
        (path(4100), String::new(), 414, "uri-too-long"),
        // From here on it is the framework that refuses, without a word.
        ("/recipes".to_owned(), "X: x\r\n".repeat(100), 431, ""),
        ("/recipes".to_owned(), header(200_000), 431, ""),
        (path(70_000), String::new(), 400, ""),
        (path(200_000), String::new(), 431, ""),
    ] {
        let what = format!("{path:.20} {headers:.20} {status}");
        let mut raw = Raw::open(&bar.url).await;
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: bar\r\n{headers}\r\n").as_bytes()).await;
        let answer = raw.answer().await.unwrap_or_else(|| panic!("no answer: {what}"));
        assert_eq!(answer.status, status, "{what}");
        if !kind.is_empty() {
            answer.expect_problem(status, kind);
        }
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_is_refused_and_the_next_is_served() {
    let bar = Bar::open(Sqlite).await;
    for request in [
        "rubbish\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: bar\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: bar\r\nHost: other\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: bar\r\nX Y: 1\r\n\r\n",
        "POST /login HTTP/1.1\r\nHost: bar\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /login HTTP/1.1\r\nHost: bar\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /login HTTP/1.1\r\nHost: bar\r\nTransfer-Encoding: gzip\r\n\r\n",
    ] {
        let mut raw = Raw::open(&bar.url).await;
        raw.send(request.as_bytes()).await;
        let answer = raw.answer().await.unwrap_or_else(|| panic!("no answer: {request:?}"));
        assert_eq!(answer.status, 400, "{request:?}");
        assert!(raw.answer().await.is_none(), "the connection is closed: {request:?}");
    }
    bar.stranger().get("/healthz").await.expect(200);
    bar.close().await;
}
