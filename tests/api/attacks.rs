//! What only an attacker sends.

use crate::support::{
    Bar,
    database::{Database, Kind},
    raw::Raw,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_written_in_another_way_is_under_the_same_limit() {
    let limits = "login-address=3,registration-address=1,writing-address=100";
    let bar = Bar::open_on(Database::new(Kind::Sqlite).await, &["--rate-limits", limits]).await;
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
    ask("/%72egister").await.expect_problem(422, "invalid");
    ask("/registe%72").await.expect_problem(429, "too-many-requests");
    bar.close().await;
}

/// Requests whose end two readers could see in two places, such as a proxy and a server behind it.
const DOUBTFUL: [&str; 12] = [
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_end_is_doubtful_is_refused_and_nothing_behind_it_is_read() {
    let bar = Bar::open(Kind::Sqlite).await;
    for headers in DOUBTFUL {
        let mut raw = Raw::open(&bar.url).await;
        let smuggled = "0\r\n\r\nGET /recipes HTTP/1.1\r\nHost: bar\r\n\r\n";
        let request = format!("POST /orders HTTP/1.1\r\nHost: bar\r\n{headers}\r\n\r\n{smuggled}");
        raw.send(request.as_bytes()).await;
        let mut answers = Vec::new();
        while raw.more(&mut answers).await {}
        let answers = String::from_utf8_lossy(&answers);
        assert!(answers.starts_with("HTTP/1.1 400 "), "{headers}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{headers}: {answers}");
    }
    bar.close().await;
}
