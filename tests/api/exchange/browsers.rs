//! What keeps browsers careful, and which other origins' scripts they let in.

use super::ASKED;
use crate::support::{
    Bar,
    database::{Database, Kind},
    executable::run,
    person::{Answer, send},
};
use reqwest::Method;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_tells_browsers_to_be_careful() {
    let bar = Bar::open(Kind::Sqlite).await;
    for (method, path, _) in ASKED {
        let answer = send(bar.stranger().request(method.parse().unwrap(), path)).await;
        for (header, value) in [
            ("x-content-type-options", "nosniff"),
            (
                "content-security-policy",
                "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            ),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(header), Some(value), "{method} {path}: {header}");
        }
        // The menu may be kept, if it is asked about again.
        let kept = if path == "/recipes" { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), Some(kept), "{method} {path}");
        assert_eq!(answer.header("server"), None);
    }
    bar.close().await;
}

async fn preflight(bar: &Bar, origin: &str) -> Answer {
    let request = bar.stranger().request(Method::OPTIONS, "/orders").header("Origin", origin);
    let request = request.header("Access-Control-Request-Method", "POST");
    send(request.header(
        "Access-Control-Request-Headers",
        "authorization,content-type,idempotency-key,if-match,if-none-match,prefer,x-request-id",
    ))
    .await
}

async fn read(bar: &Bar, origin: &str) -> Answer {
    send(bar.stranger().request(Method::GET, "/recipes").header("Origin", origin)).await
}

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_origin_is_let_in_unless_it_is_named() {
    let bar = Bar::open(Kind::Sqlite).await;
    for origin in ["https://bar.example", "null", bar.url.as_str()] {
        assert_eq!(preflight(&bar, origin).await.header(ALLOW_ORIGIN), None);
        assert_eq!(read(&bar, origin).await.header(ALLOW_ORIGIN), None);
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn named_origins_are_let_in() {
    let origins = "https://bar.example,http://localhost:3000";
    let bar = Bar::open_on(Database::new(Kind::Sqlite).await, &["--cors-origins", origins]).await;
    for origin in origins.split(',') {
        let before = preflight(&bar, origin).await;
        assert!([200, 204].contains(&before.status), "{}", before.status);
        assert_eq!(before.header(ALLOW_ORIGIN), Some(origin));
        assert_eq!(before.header("access-control-max-age"), Some("3600"));
        assert_eq!(before.header("access-control-allow-credentials"), None);
        let methods = before.header("access-control-allow-methods").unwrap();
        assert!(["GET", "POST", "PUT", "PATCH", "DELETE"].iter().all(|method| methods.contains(method)));
        let answer = read(&bar, origin).await;
        assert_eq!(answer.header(ALLOW_ORIGIN), Some(origin));
        let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
        assert!(
            [
                "location",
                "link",
                "etag",
                "idempotency-replayed",
                "preference-applied",
                "ratelimit",
                "ratelimit-policy",
                "retry-after",
                "deprecation",
                "sunset",
                "x-request-id"
            ]
            .iter()
            .all(|header| exposed.split(',').any(|exposed| exposed.trim() == *header)),
            "{exposed}"
        );
        assert!(answer.header("vary").unwrap().to_lowercase().contains("origin"));
        // What went wrong may be read too.
        let refused = send(bar.stranger().request(Method::GET, "/orders").header("Origin", origin)).await;
        assert_eq!(refused.header(ALLOW_ORIGIN), Some(origin));
        refused.expect_problem(401, "not-signed-in");
    }
    for stranger in
        ["https://bar.example.evil.example", "http://bar.example", "https://bar.example:8443", "null"]
    {
        assert_eq!(preflight(&bar, stranger).await.header(ALLOW_ORIGIN), None, "{stranger}");
        assert_eq!(read(&bar, stranger).await.header(ALLOW_ORIGIN), None, "{stranger}");
        preflight(&bar, stranger).await.expect_problem(400, "request-refused");
    }
    // What is answered before any route is asked is an answer like all others.
    for answer in [preflight(&bar, "https://bar.example").await, read(&bar, "http://bar.example").await] {
        assert!(answer.header("x-request-id").is_some(), "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_origin_is_let_in_where_all_are_meant() {
    let bar = Bar::open_on(Database::new(Kind::Sqlite).await, &["--cors-origins", "*"]).await;
    assert_eq!(preflight(&bar, "https://anywhere.example").await.header(ALLOW_ORIGIN), Some("*"));
    assert_eq!(read(&bar, "https://anywhere.example").await.header(ALLOW_ORIGIN), Some("*"));
    bar.close().await;
}

#[tokio::test]
async fn what_is_no_origin_is_refused_at_start() {
    for origin in [
        "bar.example",
        "https://bar.example/",
        "https://bar.example/menu",
        "https://Bar.example",
        "file:///bar",
    ] {
        let output = run(&["serve", "--cors-origins", origin], &[]).await;
        assert_eq!(output.status.code(), Some(2), "{origin}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("must be an origin"), "{origin}");
    }
}
