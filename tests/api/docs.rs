//! The page at `/docs`: all of it comes from this server. `make check-api` opens it in a browser.

use crate::support::{Bar, Sqlite, person::send};
use reqwest::Method;

/// Returns the links and sources of the page.
fn named(page: &str) -> Vec<&str> {
    let attributes = ["src=\"", "href=\""];
    attributes
        .iter()
        .flat_map(|start| page.split(start).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_and_all_that_it_names_come_from_us() {
    let bar = Bar::open(Sqlite).await;
    let anyone = bar.stranger();
    let page = anyone.get("/docs").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(
        !page.text.contains("://") && !page.text.contains("<style") && !page.text.contains("<script>"),
        "{}",
        page.text
    );
    let named = named(&page.text);
    assert!(named.len() > 4);
    for name in named {
        if name == "data:," {
            continue;
        }
        let part = anyone.get(name).await;
        assert_eq!(part.status, 200, "{name}");
        let kind = match name.rsplit_once('.').unwrap().1 {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "txt" => "text/plain; charset=utf-8",
            "json" => "application/json",
            other => panic!("what is a {other}?"),
        };
        assert_eq!(part.header("content-type"), Some(kind), "{name}");
        assert!(part.text.len() > 100, "{name}");
    }
    let script = anyone.get("/docs/start.js").await.text;
    assert!(!script.contains("://") && script.contains("\"/openapi.json\""), "{script}");
    assert!(anyone.get("/docs/licence.txt").await.text.contains("Apache License"));
    anyone.get("/docs/swagger-ui.js").await.expect_problem(404, "not-found");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_runs_nothing_but_our_own_scripts() {
    let bar = Bar::open(Sqlite).await;
    let page = bar.stranger().get("/docs").await;
    let policy: Vec<_> = page.header("content-security-policy").unwrap().split("; ").collect();
    assert!(policy.contains(&"default-src 'none'") && policy.contains(&"script-src 'self'"), "{policy:?}");
    assert!(
        policy.contains(&"frame-ancestors 'none'") && policy.contains(&"connect-src 'self'"),
        "{policy:?}"
    );
    assert!(!policy.concat().contains("unsafe"), "{policy:?}");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_parts_travel_compressed_to_those_who_say_that_they_can_read_that() {
    let bar = Bar::open(Sqlite).await;
    let path = "/docs/swagger-ui-bundle.js";
    let asks = |encoding: &str| bar.stranger().request(Method::GET, path).header("Accept-Encoding", encoding);
    let length = |answer: &crate::support::person::Answer| {
        answer.header("content-length").unwrap().parse::<usize>().unwrap()
    };
    let plain = send(bar.stranger().request(Method::GET, path)).await;
    assert_eq!((plain.header("content-encoding"), plain.text.len()), (None, length(&plain)));
    assert_eq!(send(asks("gzip;q=0")).await.text, plain.text);
    // The text is what this client makes of compressed bytes: only how many they are counts here.
    let compressed = send(asks("br, gzip")).await;
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert!(length(&compressed) * 3 < length(&plain));
    for answer in [&plain, &compressed] {
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
    }
    bar.close().await;
}
