//! Rate limits, and their headers.

mod addresses;
mod nobody;

use crate::support::{
    Bar, Sqlite,
    database::Database,
    eventually,
    executable::run,
    person::{Answer, send},
};
use reqwest::Method;
use serde_json::json;

/// A bar with these limits.
async fn with_limits(limits: &str, more: &[&str]) -> Bar {
    let flags = [&["--rate-limits", limits], more].concat();
    Bar::open_on(Database::new(Sqlite).await, &flags).await
}

/// Parses the `RateLimit` header: names of limits and remaining requests.
fn left(answer: &Answer) -> Vec<(String, u32)> {
    let header = answer.header("ratelimit").unwrap_or_else(|| panic!("{answer:?}"));
    let items = header.split(", ").map(|item| {
        let (name, rest) = item.split_once(";r=").expect("what is left");
        let (left, again) = rest.split_once(";t=").expect("when there is more");
        assert!(again.parse::<u32>().is_ok_and(|again| (1..=60).contains(&again)), "{header}");
        (name.trim_matches('"').to_owned(), left.parse().expect("a number"))
    });
    items.collect()
}

fn order() -> serde_json::Value {
    json!({ "recipe": "Negroni" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_says_what_is_left() {
    let bar = with_limits("on", &[]).await;
    let (stranger, guest, employee) = (bar.stranger(), bar.guest().await, bar.employee().await);
    for (person, path, policies) in [
        (&stranger, "/recipes", r#""anonymous-address";q=12000;w=60"#),
        (&guest, "/orders", r#""reading";q=300;w=60, "reading-address";q=12000;w=60"#),
        (&employee, "/orders", r#""reading-staff";q=3000;w=60"#),
        // Whatever becomes of the request.
        (&stranger, "/me", r#""anonymous-address";q=12000;w=60"#),
        (&guest, "/nothing", r#""reading";q=300;w=60, "reading-address";q=12000;w=60"#),
        (&guest, "/orders?limit=0", r#""reading";q=300;w=60, "reading-address";q=12000;w=60"#),
    ] {
        let (first, second) = (person.get(path).await, person.get(path).await);
        assert_eq!(first.header("ratelimit-policy"), Some(policies), "{path}");
        let (first, second) = (left(&first), left(&second));
        assert_eq!(first.len(), policies.split(", ").count(), "{path}");
        for ((name, before), (_, after)) in first.iter().zip(&second) {
            assert!(policies.contains(&format!("\"{name}\"")), "{path}: {name}");
            // A few may have come back meanwhile.
            assert!(before >= after || before + 5 > *after, "{path}: {name}: {before}, {after}");
        }
    }
    let unread = send(guest.request(Method::POST, "/orders").header("Accept", "text/html")).await;
    assert_eq!(unread.status, 406);
    assert_eq!(left(&unread)[0].0, "ordering");
    for (method, path, name) in [
        (Method::POST, "/orders", "ordering"),
        (Method::POST, "/orders/7/cancel", "writing"),
        (Method::DELETE, "/nothing", "writing"),
        (Method::PUT, "/me/password", "login"),
        (Method::POST, "/login", "login"),
        (Method::POST, "/token/refresh", "refresh"),
        (Method::POST, "/register", "anonymous-address"),
        (Method::HEAD, "/recipes", "reading"),
        (Method::OPTIONS, "/recipes", "reading"),
    ] {
        let answer = send(guest.request(method, path)).await;
        assert_eq!(left(&answer)[0].0, name, "{path}");
    }
    // Those who watch over the process are not counted.
    for path in ["/healthz", "/readyz"] {
        assert_eq!(guest.get(path).await.header("ratelimit"), None, "{path}");
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_asks_too_much_is_told_when_to_come_again() {
    let bar = with_limits("ordering=3", &[]).await;
    let (guest, other, employee) = (bar.guest().await, bar.guest().await, bar.employee().await);
    for left_over in [2, 1, 0] {
        let answer = guest.post("/orders", order()).await;
        assert_eq!(left(&answer)[0], ("ordering".to_owned(), left_over));
        answer.expect(201);
    }
    let refused = guest.post("/orders", order()).await;
    let seconds: u32 = refused.header("retry-after").expect("when").parse().expect("seconds");
    assert!((1..=20).contains(&seconds), "{seconds}");
    let policy = r#""ordering";q=3;w=60, "ordering-address";q=1200;w=60"#;
    assert_eq!(refused.header("ratelimit-policy"), Some(policy));
    assert_eq!(refused.header("ratelimit"), Some(format!("\"ordering\";r=0;t={seconds}").as_str()));
    let problem = refused.expect_problem(429, "too-many-requests");
    assert!(problem["detail"].as_str().unwrap().contains("ordering"), "{problem}");
    assert!(problem["request_id"].is_string(), "{problem}");
    // Nothing was done, and the account may do all else.
    let orders = guest.get("/orders").await.expect(200);
    assert_eq!(orders["orders"].as_array().unwrap().len(), 3);
    guest
        .ask(&format!("/orders/{}/cancel", crate::support::person::id(&orders["orders"][0])))
        .await
        .expect(200);
    // The same address, and other accounts.
    other.post("/orders", order()).await.expect(201);
    employee.post("/orders", order()).await.expect(201);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_refused_may_come_again() {
    let bar = with_limits("ordering=60", &[]).await;
    let guest = bar.guest().await;
    while guest.post("/orders", order()).await.status == 201 {}
    eventually("a request to be there again", async || {
        (guest.post("/orders", order()).await.status == 201).then_some(())
    })
    .await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_token_counts_for_nobody_but_its_address() {
    let bar = with_limits("reading=5,reading-address=30", &[]).await;
    let guest = bar.guest().await;
    let forger = bar.holder_of(&format!("{}x", guest.token()));
    for _ in 0..20 {
        assert_eq!(left(&forger.get("/orders").await)[0].0, "anonymous-address");
    }
    assert_eq!(left(&guest.get("/orders").await)[0], ("reading".to_owned(), 4));
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_counted_where_limits_are_off() {
    let bar = with_limits("off", &[]).await;
    let guest = bar.guest().await;
    for _ in 0..100 {
        let answer = guest.post("/orders", order()).await;
        assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), (None, None));
        answer.expect(201);
    }
    bar.close().await;
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused_at_start() {
    for (variable, value, named) in [
        ("RATE_LIMITS", "beer=1", "beer must be one of"),
        ("RATE_LIMITS", "ordering=0", "ordering must be 1 to 10000000"),
        ("RATE_LIMITS", "none", "must be on, off, or NAME=N"),
        ("TRUSTED_PROXIES", "proxy.example", "must be an address or a network"),
    ] {
        let output = run(&["serve"], &[(variable, value)]).await;
        let complained = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{variable}={value}: {complained}");
        assert!(complained.contains(named), "{variable}={value}: {complained}");
    }
}
