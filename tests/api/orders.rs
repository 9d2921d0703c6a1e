//! Placing, following and working orders.

use crate::support::{
    Bar, DatabaseKind, Person, PostgreSql, Sqlite,
    person::{id, send},
};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::HashSet;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_goes_from_the_guest_to_the_bartenders_hands(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.customer().await, bar.employee().await);
    let answer = guest.post("/orders", json!({ "recipe": "Margarita" })).await;
    assert_eq!(answer.status, 201);
    let order = answer.body;
    assert_eq!(order["items"][0]["recipe"]["name"], "Margarita");
    assert_eq!(order["items"][0]["quantity"], 1);

    let board = bartender.get("/orders?status=pending").await.expect(200);
    assert_eq!(ids(&board), [id(&order)]);
    for (action, status) in [("start", "in_progress"), ("ready", "ready"), ("complete", "completed")] {
        assert_eq!(bartender.moves(&order, action).await.expect(200)["status"], status);
        assert_eq!(guest.sees(&order).await.expect(200)["status"], status);
    }
    let history = guest.get(&format!("/orders/{}/history", id(&order))).await.expect(200);
    assert_eq!(
        moves(&history),
        ["queued>pending", "pending>in_progress", "in_progress>ready", "ready>completed"]
    );
    let numbers: Vec<_> = history["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["number"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(bartender.get("/orders?status=pending").await.expect(200)["orders"], json!([]));
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_keeps_all_its_lines_and_notes(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let guest = bar.guest().await;
    let asked = json!({
        "items": [
            { "recipe": "mojito", "quantity": 3, "note": "little ice" },
            { "recipe": "NEGRONI" },
            { "recipe": "Mojito", "quantity": 20 },
        ],
        "table": "Terrace 7",
        "note": "Is it quick? ¡Gracias! 🍸",
    });
    let placed = guest.post("/orders", asked).await.expect(201);
    let seen = guest.sees(&placed).await.expect(200);
    assert_eq!(placed, seen);
    let lines: Vec<_> = seen["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            (
                line["recipe"]["name"].as_str().unwrap(),
                line["quantity"].as_i64().unwrap(),
                line["note"].as_str(),
            )
        })
        .collect();
    assert_eq!(lines, [("Mojito", 3, Some("little ice")), ("Negroni", 1, None), ("Mojito", 20, None)]);
    assert_eq!(seen["table"], "Terrace 7");
    assert_eq!(seen["note"], "Is it quick? ¡Gracias! 🍸");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipe_can_be_ordered_by_its_id(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let guest = bar.guest().await;
    let recipe = guest.get("/recipes/daiquiri").await.expect(200);
    let order = guest.order(id(&recipe)).await;
    assert_eq!(order["items"][0]["recipe"]["name"], "Daiquiri");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_bartenders_who_ask_at_once_each_get_another_order(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let mut placed = HashSet::new();
    for _ in 0..20 {
        placed.insert(id(&guest.order("Negroni").await).to_owned());
    }
    let asking: Vec<_> = (0..30)
        .map(|_| {
            let bartender = bartender.clone();
            tokio::spawn(async move { bartender.claim().await })
        })
        .collect();
    let mut claimed = Vec::new();
    for answer in asking {
        claimed.extend(answer.await.unwrap());
    }
    let distinct: HashSet<_> = claimed.iter().map(|order| id(order).to_owned()).collect();
    assert_eq!(claimed.len(), 20, "20 orders for 30 who asked");
    assert_eq!(distinct, placed);
    assert!(bartender.claim().await.is_none());
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_start_one_order_one_wins(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let order = guest.order("Negroni").await;
    let starting: Vec<_> = (0..50)
        .map(|_| {
            let (bartender, order) = (bartender.clone(), order.clone());
            tokio::spawn(async move { bartender.moves(&order, "start").await })
        })
        .collect();
    let mut won = 0;
    for answer in starting {
        let answer = answer.await.unwrap();
        if answer.status == 200 {
            won += 1;
        } else {
            let problem = answer.expect_problem(409, "illegal-move");
            assert_eq!(problem["order"]["status"], "in_progress", "the loser sees where it stands");
        }
    }
    assert_eq!(won, 1);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quicker_of_two_orders_placed_together_goes_first(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let slow = guest.order("Margarita").await; // 60 s
    let quick = guest.order("Americano").await; // 15 s
    assert_eq!((&slow["priority"], &quick["priority"]), (&json!(4), &json!(1)));
    assert_eq!(ids(&bartender.get("/orders?status=pending").await.expect(200)), [id(&quick), id(&slow)]);
    assert_eq!(id(&bartender.claim().await.unwrap()), id(&quick));
    assert_eq!(id(&bartender.claim().await.unwrap()), id(&slow));
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_step_back_what_was_a_mistake(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let order = guest.order("Negroni").await;
    bartender.moves(&order, "undo").await.expect_problem(409, "illegal-move");
    for action in ["start", "ready", "complete"] {
        bartender.moves(&order, action).await.expect(200);
    }
    for status in ["ready", "in_progress", "pending"] {
        assert_eq!(bartender.moves(&order, "undo").await.expect(200)["status"], status);
    }
    assert_eq!(guest.sees(&order).await.expect(200)["bartender_id"], Value::Null, "nobody has it");
    bartender.moves(&order, "start").await.expect(200);
    let failed = bartender
        .post(&format!("/orders/{}/fail", id(&order)), json!({ "reason": "no more gin" }))
        .await
        .expect(200);
    assert_eq!((&failed["status"], &failed["status_reason"]), (&json!("failed"), &json!("no more gin")));
    let back = bartender.moves(&order, "undo").await.expect(200);
    assert_eq!((&back["status"], &back["status_reason"]), (&json!("in_progress"), &Value::Null));
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_can_call_off_an_order_until_someone_works_on_it(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let order = guest.order("Negroni").await;
    assert_eq!(guest.moves(&order, "cancel").await.expect(200)["status"], "cancelled");
    let other = guest.order("Negroni").await;
    bartender.moves(&other, "start").await.expect(200);
    guest.moves(&other, "cancel").await.expect_problem(409, "illegal-move");
    let reason = json!({ "reason": "the guest left" });
    bartender.post(&format!("/orders/{}/cancel", id(&other)), reason).await.expect(200);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_see_their_own_orders_and_nobody_elses(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (ana, ben, bartender) = (bar.guest().await, bar.guest().await, bar.employee().await);
    let order = ana.order("Negroni").await;
    ben.sees(&order).await.expect_problem(404, "not-found");
    ben.get(&format!("/orders/{}/history", id(&order))).await.expect_problem(404, "not-found");
    ben.moves(&order, "cancel").await.expect_problem(404, "not-found");
    assert_eq!(ben.get("/orders").await.expect(200)["orders"], json!([]));
    assert_eq!(ids(&ana.get("/orders").await.expect(200)), [id(&order)]);
    assert_eq!(ids(&bartender.get("/orders").await.expect(200)), [id(&order)]);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_page_through_every_order_once(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let mut placed = Vec::new();
    for _ in 0..7 {
        placed.push(id(&guest.order("Negroni").await).to_owned());
    }
    for (path, backwards) in [("/orders?limit=3", true), ("/orders?status=pending&limit=3", false)] {
        let mut seen = Vec::new();
        let mut next = String::new();
        loop {
            let page = bartender.get(&format!("{path}{next}")).await.expect(200);
            seen.extend(ids(&page).into_iter().map(str::to_owned));
            match page["next_cursor"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => break,
            }
            // What comes in meanwhile moves nothing that was there.
            if backwards {
                guest.order("Negroni").await;
            }
        }
        if backwards {
            placed.reverse();
            assert_eq!(seen, placed, "newest first");
            placed.reverse();
        } else {
            assert_eq!(seen[..7], placed, "the one that waits longest first");
        }
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_can_be_narrowed_to_a_state_and_a_table(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let here = guest.post("/orders", json!({ "recipe": "Negroni", "table": "7" })).await.expect(201);
    let there = guest.post("/orders", json!({ "recipe": "Negroni", "table": "8" })).await.expect(201);
    bartender.moves(&there, "start").await.expect(200);
    assert_eq!(ids(&bartender.get("/orders?table=7").await.expect(200)), [id(&here)]);
    assert_eq!(ids(&bartender.get("/orders?status=in_progress").await.expect(200)), [id(&there)]);
    assert_eq!(ids(&bartender.get("/orders?status=pending&table=8").await.expect(200)), [""; 0]);
    assert_eq!(ids(&guest.get("/orders?status=pending").await.expect(200)), [id(&here)]);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_order_for_a_guest(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let who = id(&guest.get("/me").await.expect(200)).to_owned();
    let order =
        bartender.post("/orders", json!({ "recipe": "Negroni", "customer_id": who })).await.expect(201);
    assert_eq!(order["customer_id"], who.as_str());
    assert_ne!(order["placed_by"], who.as_str());
    guest.sees(&order).await.expect(200);
    let other = bar.guest().await;
    let problem = other.post("/orders", json!({ "recipe": "Negroni", "customer_id": who })).await;
    problem.expect_problem(403, "not-permitted");
    let nobody = json!({ "recipe": "Negroni", "customer_id": "00000000-0000-7000-8000-000000000000" });
    bartender.post("/orders", nobody).await.expect_problem(422, "invalid");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_one_key_are_one_order(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let guest = bar.guest().await;
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let guest = guest.clone();
            tokio::spawn(async move { keyed(&guest, "round 1", json!({ "recipe": "Negroni" })).await })
        })
        .collect();
    let mut orders = HashSet::new();
    for answer in asking {
        orders.insert(id(&answer.await.unwrap().expect(201)).to_owned());
    }
    assert_eq!(orders.len(), 1);
    assert_eq!(guest.get("/orders").await.expect(200)["orders"].as_array().unwrap().len(), 1);

    keyed(&guest, "round 1", json!({ "recipe": "Mojito" }))
        .await
        .expect_problem(422, "idempotency-key-reused");
    let other = bar.guest().await;
    let order = keyed(&other, "round 1", json!({ "recipe": "Mojito" })).await.expect(201);
    assert!(!orders.contains(id(&order)), "another guest's key is another key");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_is_answered_as_the_first_time_whatever_became_of_the_menu(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let asked = json!({ "items": [{ "recipe": "negroni", "quantity": 2 }], "table": "7" });
    let order = keyed(&guest, "k", asked.clone()).await.expect(201);
    let negroni = guest.get("/recipes/negroni").await.expect(200);
    bartender.put("/recipes/negroni/availability", json!({ "available": false })).await.expect(200);
    assert_eq!(keyed(&guest, "k", asked.clone()).await.expect(201), order);
    keyed(&guest, "other", asked.clone()).await.expect_problem(409, "sold-out");
    let another = json!({ "items": [{ "recipe": "negroni", "quantity": 3 }], "table": "7" });
    keyed(&guest, "k", another).await.expect_problem(422, "idempotency-key-reused");

    bartender.delete("/recipes/negroni").await.expect(204);
    assert_eq!(keyed(&guest, "k", asked.clone()).await.expect(201), order);
    let formula = ["name", "build", "glass", "ingredients", "garnish", "method", "preparation_seconds"];
    let formula: serde_json::Map<_, _> =
        formula.iter().map(|name| ((*name).to_owned(), negroni[name].clone())).collect();
    bartender.post("/recipes", formula.into()).await.expect(201);
    assert_eq!(keyed(&guest, "k", asked).await.expect(201), order);
    bar.close().await;
}

async fn keyed(guest: &Person, key: &str, order: Value) -> crate::support::person::Answer {
    send(guest.request(Method::POST, "/orders").header("Idempotency-Key", key).json(&order)).await
}

fn ids(list: &Value) -> Vec<&str> {
    list["orders"].as_array().expect("orders").iter().map(id).collect()
}

fn moves(history: &Value) -> Vec<String> {
    let entries = history["history"].as_array().expect("a history");
    entries
        .iter()
        .map(|entry| format!("{}>{}", entry["from"].as_str().unwrap(), entry["to"].as_str().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_survive_a_restart() {
    let database = crate::support::database::Database::file();
    let bar = Bar::open_on(database, &[]).await;
    let order = bar.guest().await.order("Negroni").await;
    let database = bar.shut().await;
    let bar = Bar::open_on(database, &[]).await;
    assert_eq!(bar.employee().await.sees(&order).await.expect(200)["status"], "pending");
    bar.close().await;
}
