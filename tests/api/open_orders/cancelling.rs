//! Staff cancel all orders of a customer.

use super::{fills_up, limited, regular};
use crate::support::{Bar, DatabaseKind, Person, PostgreSql, Sqlite, person::id};
use rstest::rstest;
use serde_json::{Value, json};

async fn customer_id(guest: &Person) -> Value {
    guest.get("/me").await.expect(200)["id"].clone()
}

fn sorted(ids: &Value) -> Vec<String> {
    let mut ids: Vec<String> =
        ids.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    ids
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_cancel_all_that_a_customer_has_open(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = limited(database, &[]).await;
    let (guest, other, bartender) = (regular(&bar).await, regular(&bar).await, bar.employee().await);
    let who = customer_id(&guest).await;
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(guest.order("Negroni").await);
    }
    let spared = other.order("Negroni").await;
    for (order, actions) in placed.iter().zip([&["start", "ready"][..], &["start"], &["cancel"]]) {
        for action in actions {
            bartender.moves(order, action).await.expect(200);
        }
    }
    let asked = json!({ "customer_id": who, "reason": "they filled the board" });
    let answer = bartender.post_once("k", "/orders/cancel", asked.clone()).await.expect(200);
    let mut open: Vec<String> = [1, 3, 4].map(|at| id(&placed[at]).to_owned()).into();
    open.sort_unstable();
    assert_eq!((&answer["cancelled"], sorted(&answer["order_ids"])), (&json!(3), open));
    let statuses = ["ready", "cancelled", "cancelled", "cancelled", "cancelled"];
    for (order, status) in placed.iter().zip(statuses) {
        assert_eq!(guest.sees(order).await.expect(200)["status"], status);
    }
    assert_eq!(other.sees(&spared).await.expect(200)["status"], "pending");

    let history = guest.get(&format!("/orders/{}/history", id(&placed[1]))).await.expect(200);
    let last = history["history"].as_array().unwrap().last().unwrap();
    let by = customer_id(&bartender).await;
    let expected =
        (&json!("in_progress"), &json!("cancelled"), &json!(3), &by, &json!("they filled the board"));
    assert_eq!((&last["from"], &last["to"], &last["number"], &last["by"], &last["reason"]), expected);
    let trail = format!("/audit?action=order_moved&subject_id={}", id(&placed[3]));
    let entry = bar.admin().await.get(&trail).await.expect(200)["entries"][0].clone();
    assert_eq!((&entry["actor_id"], &entry["changes"][1]["after"]), (&by, &json!("cancelled")), "{entry}");
    assert!(entry["request_id"].is_string(), "{entry}");

    // Under the same key it is the same answer, and without it there is nothing left to cancel.
    let repeated = bartender.post_once("k", "/orders/cancel", asked.clone()).await;
    assert_eq!(repeated.header("idempotency-replayed"), Some("true"));
    assert_eq!(repeated.expect(200), answer);
    let again = bartender.post("/orders/cancel", asked).await.expect(200);
    assert_eq!(again, json!({ "cancelled": 0, "order_ids": [] }));
    // It can be undone, order by order.
    assert_eq!(bartender.moves(&placed[1], "undo").await.expect(200)["status"], "in_progress");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_cancel_at_once_each_cancels_what_nobody_else_did(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = limited(database, &[]).await;
    let (guest, bartender) = (regular(&bar).await, bar.employee().await);
    let asked = json!({ "customer_id": customer_id(&guest).await });
    let placed = fills_up(&guest).await;
    let asking: Vec<_> = (0..10)
        .map(|_| {
            let (bartender, asked) = (bartender.clone(), asked.clone());
            tokio::spawn(async move { bartender.post("/orders/cancel", asked).await })
        })
        .collect();
    let mut cancelled = Vec::new();
    for answer in asking {
        cancelled.extend(sorted(&answer.await.unwrap().expect(200)["order_ids"]));
    }
    cancelled.sort_unstable();
    let mut all: Vec<_> = placed.iter().map(|order| id(order).to_owned()).collect();
    all.sort_unstable();
    assert_eq!(cancelled, all);
    for order in &placed {
        let history = guest.get(&format!("/orders/{}/history", id(order))).await.expect(200);
        assert_eq!(history["history"].as_array().unwrap().len(), 2, "{history}");
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_cancelled_is_refused() {
    let bar: Bar = limited(Sqlite, &[]).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let own = json!({ "customer_id": customer_id(&guest).await });
    guest.post("/orders/cancel", own).await.expect_problem(403, "not-permitted");
    let unknown = json!({ "customer_id": "00000000-0000-7000-8000-000000000000" });
    bartender.post("/orders/cancel", unknown).await.expect_problem(404, "not-found");
    for body in [json!({}), json!({ "customer_id": "7" })] {
        let problem = bartender.post("/orders/cancel", body).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "customer_id", "{problem}");
    }
    bar.close().await;
}
