//! Unknown paths, methods and ids.

use super::are_refused;
use crate::support::{Bar, Sqlite, person::send};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_a_404_that_says_so() {
    const UNKNOWN_ID: &str = "00000000-0000-7000-8000-000000000000";
    let bar = Bar::open(Sqlite).await;
    let admin = bar.admin().await;
    let nobody = |path: &str| path.replace("NOBODY", UNKNOWN_ID);
    let paths = [
        ("GET", "/nothing"),
        ("POST", "/nothing"),
        ("GET", "/ORDERS"),
        ("GET", "/orders/"),
        ("GET", "//orders"),
        ("GET", "/orders/NOBODY/history/1"),
        ("GET", "/../Cargo.toml"),
        ("GET", "/%2e%2e/Cargo.toml"),
        ("GET", "/orders/7"),
        ("GET", "/orders/%FF"),
        ("GET", "/orders/NOBODY"),
        ("GET", "/orders/NOBODY%27"),
        ("GET", "/orders/NOBODY0"),
        ("GET", "/orders/7/history"),
        ("GET", "/orders/NOBODY/history"),
        ("POST", "/orders/7/start"),
        ("POST", "/orders/NOBODY/start"),
        ("POST", "/orders/NOBODY/cancel"),
        ("POST", "/orders/NOBODY/drink"),
        ("GET", "/recipes/7"),
        ("GET", "/recipes/NOBODY"),
        ("GET", "/recipes/engine%20oil"),
        ("DELETE", "/recipes/7"),
        ("DELETE", "/recipes/NOBODY"),
    ];
    let cases = paths
        .map(|(method, path)| (admin.request(method.parse().unwrap(), &nobody(path)), 404, "not-found", ""));
    are_refused(&bar, cases).await;
    let mut cases = Vec::new();
    for id in ["7", UNKNOWN_ID] {
        let put = |path: &str| admin.request(Method::PUT, path).header("If-Match", "*");
        let patched = admin.request(Method::PATCH, &format!("/users/{id}")).header("If-Match", "*");
        let patched = patched.json(&json!({ "active": false }));
        let sold_out = put(&format!("/recipes/{id}/availability")).json(&json!({ "available": false }));
        let recipe = json!({
            "name": "Water", "build": "built", "glass": "highball", "method": "Pour.",
            "ingredients": [{ "name": "water", "amount": 200, "unit": "ml" }],
        });
        let replaced = put(&format!("/recipes/{id}")).json(&recipe);
        cases.extend([patched, sold_out, replaced].map(|request| (request, 404, "not-found", "")));
    }
    are_refused(&bar, cases).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_a_resource_does_not_have_is_a_405_that_lists_those_it_has() {
    let bar = Bar::open(Sqlite).await;
    let admin = bar.admin().await;
    for (method, path, allowed) in [
        ("GET", "/register", "POST"),
        ("GET", "/login", "POST"),
        ("POST", "/me", "GET"),
        ("GET", "/me/password", "PUT"),
        ("DELETE", "/users", "GET"),
        ("POST", "/users/7", "GET, PATCH"),
        ("DELETE", "/recipes", "GET, POST"),
        ("POST", "/recipes/negroni", "GET, PUT, DELETE"),
        ("POST", "/recipes/negroni/availability", "PUT"),
        ("DELETE", "/orders", "GET, POST"),
        ("GET", "/orders/next", "POST"),
        ("GET", "/orders/cancel", "POST"),
        ("PUT", "/orders/7", "GET"),
        ("DELETE", "/orders/7", "GET"),
        ("POST", "/orders/7/history", "GET"),
        ("GET", "/orders/7/start", "POST"),
        ("POST", "/healthz", "GET"),
        ("BREW", "/orders", "GET, POST"),
    ] {
        let request = admin.request(method.parse().unwrap(), path);
        are_refused(&bar, [(request.try_clone().unwrap(), 405, "method-not-allowed", "")]).await;
        let answer = send(request).await;
        let listed: Vec<_> = answer.header("allow").unwrap_or_default().split(", ").collect();
        assert!(
            allowed.split(", ").all(|method| listed.contains(&method)),
            "{method} {path}: Allow is {listed:?}"
        );
        assert!(!listed.contains(&method), "{method} {path}: Allow is {listed:?}");
    }
    bar.close().await;
}
