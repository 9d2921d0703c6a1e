//! Rate limits of addresses, also behind proxies.

use super::{left, order, with_limits};
use crate::support::{
    Bar,
    person::{Answer, send},
};
use reqwest::Method;
use serde_json::json;

/// Signs in with these headers.
async fn sign_in(bar: &Bar, headers: &[(&str, &str)]) -> Answer {
    // Another account each time: one alone would have to wait after some failures.
    let email = format!("{}@example.com", uuid::Uuid::new_v4());
    let login = json!({ "email": email, "password": "a good password" });
    let request = bar.stranger().request(Method::POST, "/login").json(&login);
    send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_budgets_of_its_own() {
    let bar = with_limits("login-address=3,registration-address=2", &[]).await;
    // Registering is another budget than signing in.
    let guests = [bar.guest().await, bar.guest().await];
    let more = json!({ "username": "Ana", "email": "ana@example.com", "password": "a good password" });
    bar.stranger().post("/register", more).await.expect_problem(429, "too-many-requests");
    for _ in 0..3 {
        sign_in(&bar, &[]).await.expect_problem(401, "wrong-password");
    }
    let refused = sign_in(&bar, &[]).await;
    assert!(refused.header("retry-after").is_some());
    let problem = refused.expect_problem(429, "too-many-requests");
    assert!(problem["detail"].as_str().unwrap().contains("login-address"), "{problem}");
    // Those who are in go on.
    for guest in guests {
        guest.post("/orders", order()).await.expect(201);
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_can_not_keep_staff_at_the_same_address_from_work() {
    let limits = "ordering-address=2,reading-address=2,writing-address=1,anonymous-address=2";
    let bar = with_limits(limits, &[]).await;
    let (guest, employee) = (bar.guest().await, bar.employee().await);
    for _ in 0..2 {
        guest.post("/orders", order()).await.expect(201);
        guest.get("/orders").await.expect(200);
        bar.stranger().get("/recipes").await.expect(200);
    }
    guest.post("/orders", order()).await.expect_problem(429, "too-many-requests");
    guest.get("/orders").await.expect_problem(429, "too-many-requests");
    bar.stranger().get("/recipes").await.expect_problem(429, "too-many-requests");
    for _ in 0..10 {
        employee.post("/orders", order()).await.expect(201);
        employee.get("/orders").await.expect(200);
    }
    employee.ask("/orders/next").await.expect(200);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_used_up_his_own_takes_nothing_from_others_at_the_address() {
    let bar = with_limits("ordering=1,ordering-address=10", &[]).await;
    let (greedy, other) = (bar.guest().await, bar.guest().await);
    greedy.post("/orders", order()).await.expect(201);
    for _ in 0..20 {
        greedy.post("/orders", order()).await.expect_problem(429, "too-many-requests");
    }
    let answer = other.post("/orders", order()).await;
    assert_eq!(left(&answer)[1], ("ordering-address".to_owned(), 8));
    answer.expect(201);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_says_whose_budget_it_is() {
    let bar = with_limits("login-address=1", &["--trusted-proxies", "127.0.0.0/8,::1,10.0.0.0/8"]).await;
    let by = "X-Forwarded-For";
    for (headers, status) in [
        ([(by, "203.0.113.1")], 401),
        ([(by, "203.0.113.1")], 429),
        ([(by, "203.0.113.2")], 401),
        // What the client wrote before the proxy did is not believed, and the proxies between are passed over.
        ([(by, "198.51.100.1, 203.0.113.2, 10.0.0.9")], 429),
        ([("Forwarded", "for=203.0.113.3;proto=https")], 401),
        ([("Forwarded", "for=\"203.0.113.3:4711\"")], 429),
        // One customer has a whole network of IPv6.
        ([(by, "2001:db8:0:1::1")], 401),
        ([(by, "2001:db8:0:1:ffff::7")], 429),
        ([(by, "2001:db8:0:2::1")], 401),
        // Rubbish leaves the proxy, which is one address as well.
        ([(by, "rubbish")], 401),
        ([(by, "203.0.113.4, unknown")], 429),
    ] {
        assert_eq!(sign_in(&bar, &headers).await.status, status, "{headers:?}");
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_says_whose_budget_it_is() {
    let bar = with_limits("login-address=1", &["--trusted-proxies", "203.0.113.0/24"]).await;
    assert_eq!(sign_in(&bar, &[("X-Forwarded-For", "198.51.100.1")]).await.status, 401);
    for header in ["X-Forwarded-For", "Forwarded"] {
        for address in ["198.51.100.2", "for=198.51.100.3"] {
            assert_eq!(sign_in(&bar, &[(header, address)]).await.status, 429);
        }
    }
    bar.close().await;
}
