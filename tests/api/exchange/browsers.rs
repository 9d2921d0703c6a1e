//! Security headers for browsers, and CORS.

use super::REQUESTS;
use crate::support::{
    Bar, Sqlite,
    database::Database,
    executable::run,
    person::{Answer, send},
};
use reqwest::Method;
use serde_json::{Value, json};
use shakerqueue::http;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_tells_browsers_to_be_careful() {
    let bar = Bar::open(Sqlite).await;
    for (method, path, _) in REQUESTS {
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
    send(request.header("Access-Control-Request-Headers", REQUEST_HEADERS)).await
}

/// Headers that the API reads, and those that browser libraries add for traces, error reports and caches.
const REQUEST_HEADERS: &str = "accept,accept-language,authorization,cache-control,content-type,idempotency-key,if-match,if-none-match,prefer,\
                    x-request-id,baggage,traceparent,tracestate,sentry-trace,b3,x-b3-traceid,uber-trace-id,request-id,newrelic,\
                    x-datadog-trace-id,x-datadog-parent-id,elastic-apm-traceparent,x-requested-with,pragma";

async fn read(bar: &Bar, origin: &str) -> Answer {
    send(bar.stranger().request(Method::GET, "/recipes").header("Origin", origin)).await
}

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_origin_is_let_in_unless_it_is_named() {
    for flags in [[].as_slice(), &["--cors-origins", ""], &["--cors-origins", " , "]] {
        let bar = Bar::open_on(Database::new(Sqlite).await, flags).await;
        for origin in ["https://bar.example", "null", bar.url.as_str()] {
            assert_eq!(preflight(&bar, origin).await.header(ALLOW_ORIGIN), None);
            assert_eq!(read(&bar, origin).await.header(ALLOW_ORIGIN), None);
        }
        bar.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn named_origins_are_let_in() {
    let origins = "https://bar.example,http://localhost:3000";
    let bar = Bar::open_on(Database::new(Sqlite).await, &["--cors-origins", origins]).await;
    for origin in origins.split(',') {
        let before = preflight(&bar, origin).await;
        assert!([200, 204].contains(&before.status), "{}", before.status);
        assert_eq!(before.header(ALLOW_ORIGIN), Some(origin));
        assert_eq!(before.header("access-control-max-age"), Some("3600"));
        assert_eq!(before.header("access-control-allow-credentials"), None);
        let allowed = before.header("access-control-allow-headers").unwrap();
        assert!(
            REQUEST_HEADERS.split(',').all(|sent| allowed.split(',').any(|allowed| allowed.trim() == sent)),
            "{allowed}"
        );
        let methods = before.header("access-control-allow-methods").unwrap();
        assert!(["GET", "POST", "PUT", "PATCH", "DELETE"].iter().all(|method| methods.contains(method)));
        let answer = read(&bar, origin).await;
        assert_eq!(answer.header(ALLOW_ORIGIN), Some(origin));
        let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
        let exposed: Vec<_> = exposed.split(',').map(str::trim).collect();
        for header in answered_headers().iter().map(String::as_str).chain(["date", "deprecation", "sunset"]) {
            assert!(exposed.contains(&header), "{header} is not in {exposed:?}");
        }
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

/// Returns every header that an answer may have, by the OpenAPI document.
fn answered_headers() -> Vec<String> {
    let document: Value = serde_json::from_str(http::document()).unwrap();
    let headers = document["components"]["headers"].as_object().unwrap();
    assert!(headers.len() > 8);
    headers.keys().map(|name| name.to_lowercase()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_and_subdomains_are_let_in_and_nobody_who_looks_like_them() {
    let origins = "capacitor://localhost, ionic://localhost,tauri://localhost,https://*.pub.example,http://*.pub.example:8080";
    let bar = Bar::open_on(Database::new(Sqlite).await, &["--cors-origins", origins]).await;
    let guest = bar.guest().await;
    for origin in [
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "https://bar.pub.example",
        "https://till.bar.pub.example",
        "http://bar.pub.example:8080",
    ] {
        assert_eq!(preflight(&bar, origin).await.header(ALLOW_ORIGIN), Some(origin));
        let order = guest.request(Method::POST, "/orders").header("Origin", origin);
        let order = order.header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let ordered = send(order.header("baggage", "table=4").json(&json!({ "recipe": "Negroni" }))).await;
        assert_eq!((ordered.status, ordered.header(ALLOW_ORIGIN)), (201, Some(origin)));
        assert!(ordered.header("vary").unwrap().to_lowercase().contains("origin"));
    }
    for stranger in [
        "https://pub.example",
        "https://evilpub.example",
        "https://.pub.example",
        "http://bar.pub.example",
        "https://bar.pub.example:8443",
        "https://bar.pub.example:8080",
        "https://bar.pub.example.evil.example",
        "https://evil.example/.pub.example",
        "https://*.pub.example",
        "http://localhost",
        "capacitor://localhost:8080",
        "capacitor://localhost.evil.example",
        "null",
    ] {
        assert_eq!(preflight(&bar, stranger).await.header(ALLOW_ORIGIN), None, "{stranger}");
        assert_eq!(read(&bar, stranger).await.header(ALLOW_ORIGIN), None, "{stranger}");
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preflight_is_bounded_as_any_request_is() {
    let bar = Bar::open_on(Database::new(Sqlite).await, &["--cors-origins", "https://bar.example"]).await;
    let asked = |names: usize| {
        let request =
            bar.stranger().request(Method::OPTIONS, "/orders").header("Origin", "https://bar.example");
        let names = vec!["x-header"; names].join(",");
        send(
            request
                .header("Access-Control-Request-Method", "POST")
                .header("Access-Control-Request-Headers", names),
        )
    };
    assert_eq!(asked(100).await.header(ALLOW_ORIGIN), Some("https://bar.example"));
    asked(2000).await.expect_problem(431, "head-too-large");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_origin_is_let_in_where_all_are_meant() {
    // Others beside it change nothing.
    for origins in ["*", "*,https://bar.example", "https://*.bar.example,*"] {
        let bar = Bar::open_on(Database::new(Sqlite).await, &["--cors-origins", origins]).await;
        for origin in ["https://anywhere.example", "capacitor://localhost", "null"] {
            assert_eq!(preflight(&bar, origin).await.header(ALLOW_ORIGIN), Some("*"), "{origins}");
            assert_eq!(read(&bar, origin).await.header(ALLOW_ORIGIN), Some("*"), "{origins}");
        }
        bar.close().await;
    }
}

#[tokio::test]
async fn what_is_no_origin_is_refused_at_start() {
    for origin in [
        "bar.example",
        "https://bar.example/",
        "https://bar.example/menu",
        "https://Bar.example",
        "file:///bar",
        "https://*.example",
        "https://*pub.example",
        "https://a.*.pub.example",
    ] {
        let output = run(&["serve", "--cors-origins", origin], &[]).await;
        assert_eq!(output.status.code(), Some(2), "{origin}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("must be an origin"), "{origin}");
    }
}
