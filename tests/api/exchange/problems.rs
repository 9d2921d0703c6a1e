//! Problems link to their description and to their subject.

use crate::support::{Bar, Sqlite, person::send};
use reqwest::Method;
use serde_json::{Value, json};
use shakerqueue::http;
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_type_of_a_problem_leads_to_a_page_about_it() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.stranger();
    let list = guest.get("/problems").await;
    assert_eq!(list.header("content-type"), Some("text/html; charset=utf-8"));
    let listed: BTreeSet<&str> =
        list.text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(listed.len() > 20, "{listed:?}");
    for page in &listed {
        let answer = guest.get(page).await;
        assert_eq!(answer.status, 200, "{page}");
        assert!(answer.text.contains("<h1>"), "{}", answer.text);
    }
    for (path, name) in [("/nothing", "not-found"), ("/orders", "not-signed-in")] {
        let problem = guest.get(path).await.body;
        assert_eq!(problem["type"], format!("/problems/{name}"));
        assert!(listed.contains(problem["type"].as_str().unwrap()));
    }
    // Those that the API's document speaks of.
    let document: Value = serde_json::from_str(http::document()).unwrap();
    let responses = document["components"]["responses"].as_object().unwrap();
    for words in responses.values().filter_map(|response| response["description"].as_str()) {
        for name in words.split('`').skip(1).step_by(2).filter(|name| name.contains('-')) {
            assert!(listed.contains(format!("/problems/{name}").as_str()), "{name}: {words}");
        }
    }
    guest.get("/problems/no-gin").await.expect_problem(404, "not-found");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_field_is_pointed_at() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    for (order, pointer) in [
        (json!({ "recipe": 7 }), "#/recipe"),
        (
            json!({ "items": [{ "recipe": "Negroni" }, { "recipe": "Negroni", "quantity": 99 }] }),
            "#/items/1/quantity",
        ),
        (json!({ "items": [{ "recipe": "engine oil" }] }), "#/items/0/recipe"),
        (json!({ "recipe": "Negroni", "a/b~c d%": 1 }), "#/a~1b~0c%20d%25"),
        (json!({ "recipe": "Negroni", "note": "x".repeat(1000) }), "#/note"),
        (json!(null), "#"),
    ] {
        let problem = guest.post("/orders", order.clone()).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{order}: {problem}");
    }
    // Neither of these is in the body.
    let problem = guest.get("/orders?limit=0").await.expect_problem(422, "invalid");
    assert_eq!(
        (&problem["errors"][0]["field"], &problem["errors"][0]["pointer"]),
        (&json!("limit"), &Value::Null)
    );
    let keyed = guest.request(Method::POST, "/orders").header("Idempotency-Key", "");
    let problem = send(keyed.json(&json!({ "recipe": "Negroni" }))).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], Value::Null, "{problem}");
    bar.close().await;
}
