//! Messages of a later version, with fields that this one does not know: it records what it knows, and keeps all of them.

use super::message;
use crate::support::{database::FAULT_TRIGGER, eventually, installation::Installation, person::id};
use serde_json::{Value, json};
use uuid::Uuid;

/// Builds a message with more fields than there are.
fn later_message(order: Uuid, customer: &str, recipe: &Value, note: &str) -> Vec<u8> {
    let mut message: Value = serde_json::from_slice(&message(order, customer, recipe)).unwrap();
    message["written_by"] = json!("a later version");
    message["order"]["note"] = json!(note);
    message["order"]["tab"] = json!({ "id": 7, "names": ["A", "B"] });
    message["order"]["lines"][0]["station"] = json!("bar");
    message["order"]["lines"][0]["recipe"]["seconds"] = json!(40);
    message.to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_are_not_known_are_passed_over_and_kept() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let admin = bar.sign_in(&url, "admin@example.com").await;
    let me = admin.get("/me").await.expect(200);
    let recipe = admin.get("/recipes/Negroni").await.expect(200);
    let (good, poison) = (Uuid::now_v7(), Uuid::now_v7());
    bar.database.client().await.batch_execute(FAULT_TRIGGER).await.unwrap();
    let later = later_message(poison, id(&me), &recipe, "poison");
    bar.prefix.publish(good, &later_message(good, id(&me), &recipe, "good")).await;
    bar.prefix.publish(poison, &later).await;
    let worker = bar.work().await;
    let order = eventually("the order to be recorded", async || {
        let order = admin.get(&format!("/orders/{good}")).await;
        (order.status == 200 && order.body["status"] == "pending").then_some(order.body)
    })
    .await;
    assert_eq!(order["note"], "good");
    // After two more attempts.
    let letter = eventually("a dead letter", async || {
        let list = admin.get("/dead-letters").await.expect(200);
        list["dead_letters"].get(0).cloned()
    })
    .await;
    assert_eq!((&letter["order_id"], &letter["attempts"]), (&json!(poison), &json!(3)));
    let path = format!("/dead-letters/{}", id(&letter));
    let kept = admin.get(&path).await.expect(200);
    assert_eq!(kept["payload"], String::from_utf8(later).unwrap());
    bar.database.client().await.batch_execute("DROP TRIGGER fault ON orders").await.unwrap();
    admin.ask(&format!("{path}/replay")).await.expect(200);
    let order = admin.get(&format!("/orders/{poison}")).await.expect(200);
    assert_eq!(order["status"], "pending");

    worker.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}
