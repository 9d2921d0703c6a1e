//! Orders that can't be placed, and order actions that can't be done.

use super::{Case, are_refused};
use crate::support::{Bar, DatabaseKind, PostgreSql, Sqlite, person::id};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

/// Builds an order with this second line.
fn second(line: &Value) -> Value {
    json!({ "items": [{ "recipe": "Negroni" }, line] })
}

fn lines(count: usize) -> Value {
    json!({ "items": vec![json!({ "recipe": "Negroni" }); count] })
}

fn wrong_orders() -> Vec<Case<Value>> {
    let invalid = |order: Value, field| (order, 422, "invalid", field);
    let mut cases = vec![
        invalid(json!({}), "recipe"),
        invalid(json!({ "recipe": null }), "recipe"),
        invalid(json!({ "recipe": 7 }), "recipe"),
        invalid(json!({ "recipe": ["Negroni"] }), "recipe"),
        invalid(json!({ "recipe": "" }), "recipe"),
        invalid(json!({ "recipe": "Engine oil" }), "recipe"),
        invalid(json!({ "recipe": "00000000-0000-7000-8000-000000000000" }), "recipe"),
        invalid(json!({ "recipe": "Negroni", "items": [{ "recipe": "Negroni" }] }), "recipe"),
        invalid(json!({ "recipe": "Negroni", "quantity": 0 }), "quantity"),
        invalid(json!({ "recipe": "Negroni", "colour": "red" }), "colour"),
        invalid(json!({ "recipe": "Negroni", "status": "completed" }), "status"),
        invalid(json!({ "recipe": "Negroni", "customer_id": "me" }), "customer_id"),
        invalid(json!({ "items": {} }), "items"),
        invalid(json!({ "items": "Negroni" }), "items"),
        invalid(lines(0), "items"),
        invalid(lines(21), "items"),
        invalid(json!({ "items": [{ "recipe": "Negroni" }], "quantity": 2 }), "quantity"),
        invalid(json!({ "items": ["Negroni"] }), "items[0]"),
        // What serde would take for a struct.
        invalid(json!({ "items": [["Negroni", 2, null]] }), "items[0]"),
        invalid(second(&json!({ "quantity": 2 })), "items[1].recipe"),
        invalid(second(&json!({ "recipe": null })), "items[1].recipe"),
        invalid(second(&json!({ "recipe": "Engine oil" })), "items[1].recipe"),
        invalid(second(&json!({ "recipe": "Negroni", "colour": "red" })), "items[1].colour"),
        invalid(second(&json!({ "recipe": "Negroni", "note": 7 })), "items[1].note"),
        invalid(second(&json!({ "recipe": "Negroni", "note": "n".repeat(201) })), "items[1].note"),
        invalid(second(&json!({ "recipe": "Negroni", "note": "ñ".repeat(201) })), "items[1].note"),
        invalid(json!({ "recipe": "Negroni", "note": "n".repeat(201) }), "note"),
        invalid(json!({ "recipe": "Negroni", "table": "t".repeat(41) }), "table"),
        invalid(json!({ "recipe": "Negroni", "table": 7.5 }), "table"),
        invalid(json!({ "recipe": "Negroni", "table": -7 }), "table"),
        invalid(json!({ "recipe": "Negroni", "table": true }), "table"),
        invalid(json!({ "recipe": "Negroni", "table": "\u{3164}" }), "table"),
    ];
    for quantity in [json!(0), json!(21), json!(-1), json!(1.5), json!("2"), json!(true), json!(u64::MAX)] {
        cases.push(invalid(
            second(&json!({ "recipe": "Negroni", "quantity": quantity })),
            "items[1].quantity",
        ));
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_order_is_refused_and_its_wrong_field_named() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let cases = wrong_orders().into_iter().map(|(order, status, kind, field)| {
        (guest.request(Method::POST, "/orders").json(&order), status, kind, field)
    });
    are_refused(&bar, cases).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_can_be_reached() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let line = json!({ "recipe": "Negroni", "quantity": 20, "note": "ñ".repeat(200) });
    let order = json!({ "items": vec![line; 20], "table": "t".repeat(40), "note": "n".repeat(200) });
    assert_eq!(guest.post("/orders", order).await.expect(201)["items"].as_array().unwrap().len(), 20);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_wrong_is_named_at_once() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let pointers = async |order: Value| {
        let problem = guest.post("/orders", order).await.expect_problem(422, "invalid");
        let errors = problem["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let order =
        json!({ "items": [{ "recipe": "Engine oil" }, { "recipe": "Negroni" }, { "recipe": "Petrol" }] });
    let problem = guest.post("/orders", order.clone()).await.expect_problem(422, "invalid");
    assert!(problem["detail"].as_str().unwrap().contains("Engine oil"), "{problem}");
    assert_eq!(pointers(order).await, ["#/items/0/recipe", "#/items/2/recipe"]);
    let order =
        json!({ "items": [{ "recipe": "Negroni", "quantity": 0 }, { "quantity": 21 }], "table": "\u{3164}" });
    let mut named = pointers(order).await;
    named.sort();
    assert_eq!(named, ["#/items/0/quantity", "#/items/1/quantity", "#/items/1/recipe", "#/table"]);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_not_repeated_at_length() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let long = "x".repeat(60_000);
    let mut stranger = json!({ "recipe": "Negroni" });
    stranger[&long] = json!(1);
    for order in [json!({ "recipe": long }), json!({ "recipe": "Negroni", "customer_id": long }), stranger] {
        let answer = guest.post("/orders", order).await;
        assert!(answer.text.len() < 2000, "{} bytes come back: {:.300}", answer.text.len(), answer.text);
        answer.expect_problem(422, "invalid");
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_has_1_to_255_visible_characters() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let longest = "k".repeat(256);
    let keys: [&[u8]; 4] = [b"", longest.as_bytes(), "ñ".as_bytes(), b"k\tk"];
    let cases = keys.map(|key| {
        let request = guest.request(Method::POST, "/orders").header("Idempotency-Key", key);
        (request.json(&json!({ "recipe": "Negroni" })), 422, "invalid", "Idempotency-Key")
    });
    are_refused(&bar, cases).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_move_is_refused_and_its_wrong_field_named() {
    let bar = Bar::open(Sqlite).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let order = guest.order("Negroni").await;
    let path = |action: &str| format!("/orders/{}/{action}", id(&order));
    let long = json!({ "reason": "r".repeat(201) });
    let cases = [
        ("fail", json!({}), 422, "invalid", "reason"),
        ("fail", json!({ "reason": "" }), 422, "invalid", "reason"),
        ("fail", json!({ "reason": 7 }), 422, "invalid", "reason"),
        ("fail", long.clone(), 422, "invalid", "reason"),
        ("cancel", long, 422, "invalid", "reason"),
        ("fail", json!({ "reason": "\u{0}\u{200b}" }), 422, "invalid", "reason"),
        ("cancel", json!({ "why": "late" }), 422, "invalid", "why"),
        ("cancel", json!("late"), 422, "invalid", "body"),
        ("cancel", json!(["late"]), 422, "invalid", "body"),
        ("start", json!({ "reason": "thirst" }), 422, "invalid", "reason"),
        ("drink", json!({}), 404, "not-found", ""),
        ("ready", json!({}), 409, "illegal-move", ""),
    ];
    let cases = cases.map(|(action, body, status, kind, field)| {
        (bartender.request(Method::POST, &path(action)).json(&body), status, kind, field)
    });
    are_refused(&bar, cases).await;
    let bodiless = bartender.request(Method::POST, &path("fail"));
    are_refused(&bar, [(bodiless, 422, "invalid", "reason")]).await;
    let history = guest.get(&path("history")).await.expect(200);
    assert_eq!(history["history"].as_array().unwrap().len(), 1, "it never moved");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_could_not_store_is_refused_before(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let guest = bar.guest().await;
    let nul = "no\u{0}ice";
    let post = |path: &str, body: Value| bar.stranger().request(Method::POST, path).json(&body);
    let order = |order: Value| guest.request(Method::POST, "/orders").json(&order);
    let login = |email: &str| post("/login", json!({ "email": email, "password": nul }));
    let registration = |username: &str, email: &str, password: &str| {
        post("/register", json!({ "username": username, "email": email, "password": password }))
    };
    are_refused(
        &bar,
        [
            (order(json!({ "recipe": "Negroni", "table": nul })), 422, "invalid", "table"),
            (order(json!({ "recipe": nul })), 422, "invalid", "recipe"),
            (guest.request(Method::GET, "/orders?table=no%00ice"), 422, "invalid", "table"),
            (guest.request(Method::GET, "/orders/no%00ice"), 404, "not-found", ""),
            (guest.request(Method::GET, "/recipes/no%00ice"), 404, "not-found", ""),
            (login("a\u{0}@example.com"), 401, "wrong-password", ""),
            (login("user@example.com"), 401, "wrong-password", ""),
            (registration(nul, "a@example.com", "password123"), 422, "invalid", "username"),
            (registration("a", "a\u{0}@example.com", "password123"), 422, "invalid", "email"),
            (registration("a", "a@example.com", "password\u{0}123"), 422, "invalid", "password"),
        ],
    )
    .await;
    // Of a note only that is left out.
    let stored =
        guest.post("/orders", second(&json!({ "recipe": "Negroni", "note": nul }))).await.expect(201);
    assert_eq!(stored["items"][1]["note"], "noice");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drink_that_is_sold_out_spoils_the_whole_order(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    bartender.put("/recipes/Mojito/availability", json!({ "available": false })).await.expect(200);
    let orders = [json!({ "recipe": "Mojito" }), second(&json!({ "recipe": "mojito", "quantity": 2 }))];
    are_refused(
        &bar,
        orders.map(|order| (guest.request(Method::POST, "/orders").json(&order), 409, "sold-out", "")),
    )
    .await;
    let problem = guest.post("/orders", json!({ "recipe": "mojito" })).await.expect_problem(409, "sold-out");
    assert!(problem["detail"].as_str().unwrap().contains("Mojito"), "{problem}");
    bar.close().await;
}
