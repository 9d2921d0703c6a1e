//! Orders that can't be recorded for now: they are retried with delays, and become dead letters after the last retry.

use super::message;
use crate::support::{broker, database::FAULT_TRIGGER, eventually, installation::Installation, person::id};
use futures_util::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_the_database_fails_on_is_set_apart() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    bar.database.client().await.batch_execute(FAULT_TRIGGER).await.unwrap();
    let poison = guest.post("/orders", json!({ "recipe": "Negroni", "note": "poison" })).await.expect(202);
    for _ in 0..20 {
        guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    }
    let worker = bar.work().await;
    eventually("the others to be stored", async || (bar.database.count("orders").await == 20).then_some(()))
        .await;
    let admin = bar.sign_in(&url, "admin@example.com").await;
    let letter = eventually("the one to be a dead letter", async || {
        let list = admin.get("/dead-letters").await.expect(200);
        list["dead_letters"].get(0).cloned()
    })
    .await;
    assert_eq!(letter["order_id"], poison["id"]);
    assert_eq!(letter["attempts"], 3, "one, and one after each of two pauses");
    assert!(letter["reason"].as_str().unwrap().contains("fault"), "{letter}");
    assert!(letter["first_failed_at"].as_str() < letter["created_at"].as_str(), "{letter}");
    assert_eq!(guest.sees(&poison).await.expect(200)["status"], "failed");

    let replay = format!("/dead-letters/{}/replay", id(&letter));
    admin.ask(&replay).await.expect_problem(503, "unavailable");
    bar.database.client().await.batch_execute("DROP TRIGGER fault ON orders").await.unwrap();
    admin.ask(&replay).await.expect(200);
    assert_eq!(guest.sees(&poison).await.expect(200)["status"], "pending");

    worker.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_travelled_with_bad_orders_is_stored() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    bar.database.client().await.batch_execute(FAULT_TRIGGER).await.unwrap();
    let orders = (0..200).map(|number| {
        let note = if number % 20 == 0 { "poison" } else { "good" };
        guest.post("/orders", json!({ "recipe": "Negroni", "note": note }))
    });
    for answer in join_all(orders).await {
        answer.expect(202);
    }
    let messages = broker::depth(&bar.prefix.name, "orders").await.unwrap();
    assert!(messages < 200, "200 orders in {messages} messages: none travelled together");

    let worker = bar.work().await;
    eventually("the good ones to be stored, and the bad ones to be dead letters", async || {
        let found = (bar.database.count("orders").await, bar.database.count("dead_letters").await);
        (found == (190, 10)).then_some(())
    })
    .await;
    eventually("nothing to be left", async || {
        (broker::depth(&bar.prefix.name, "orders").await == Some(0)).then_some(())
    })
    .await;

    worker.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_waits_to_be_tried_again_outlives_its_worker() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    bar.database.client().await.batch_execute(FAULT_TRIGGER).await.unwrap();
    let poison = guest.post("/orders", json!({ "recipe": "Negroni", "note": "poison" })).await.expect(202);
    let worker = bar.work_with(&[("RETRY_SECONDS", "3,1,1")]).await;
    eventually("the order to wait for its next attempt", async || {
        let waits = broker::depth(&bar.prefix.name, "orders.after.3000ms").await == Some(1);
        waits.then_some(())
    })
    .await;
    worker.kill().await;
    bar.database.client().await.batch_execute("DROP TRIGGER fault ON orders").await.unwrap();
    let worker = bar.work().await;
    eventually("the order to be stored", async || {
        (guest.sees(&poison).await.expect(200)["status"] == "pending").then_some(())
    })
    .await;
    assert_eq!(bar.database.count("dead_letters").await, 0);

    worker.stop().await;
    serve.stop().await;
    broker::delete_queues(&bar.prefix.name, &["orders.after.3000ms"]).await;
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_delivered_too_often_is_stored_all_the_same() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    let order = guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    // What the broker does with a message that exceeds the limit of deliveries.
    broker::move_to_exchange(&bar.prefix.name, "orders", "dead").await;
    assert_eq!(broker::depth(&bar.prefix.name, "orders.overrun").await, Some(1));
    let worker = bar.work().await;
    eventually("the order to be stored", async || {
        (guest.sees(&order).await.expect(200)["status"] == "pending").then_some(())
    })
    .await;
    worker.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_of_a_later_format_keep_their_ids_while_they_wait() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let ids: BTreeSet<String> = (0..60).map(|_| Uuid::now_v7().to_string()).collect();
    join_all(ids.iter().map(async |id| {
        let order = json!({ "version": 2, "order": { "id": id, "drinks": ["Negroni"] } });
        bar.prefix.publish(Uuid::now_v7(), order.to_string().as_bytes()).await;
    }))
    .await;
    let messages = broker::depth(&bar.prefix.name, "orders").await.unwrap();
    assert!(messages < 60, "none travelled together");

    let worker = bar.work().await;
    let admin = bar.sign_in(&url, "admin@example.com").await;
    let letters = eventually("all to be dead letters", async || {
        let list = admin.get("/dead-letters?limit=100").await.expect(200)["dead_letters"].clone();
        (list.as_array().unwrap().len() == ids.len()).then_some(list)
    })
    .await;
    let letters = letters.as_array().unwrap();
    let found: BTreeSet<_> =
        letters.iter().map(|letter| letter["order_id"].as_str().unwrap().to_owned()).collect();
    // In a batch of messages, those that came alone are named by their message.
    assert!(found.intersection(&ids).count() > 40, "{found:?}");
    for letter in letters {
        assert_eq!(letter["attempts"], 3, "a later program might have come by then: {letter}");
    }

    worker.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_of_an_unknown_content_type_is_tried_again() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let admin = bar.sign_in(&url, "admin@example.com").await;
    let (unknown, malformed) = (Uuid::now_v7(), Uuid::now_v7());
    broker::publish_as(&bar.prefix.name, unknown, "application/cbor", b"\xa1order".to_vec()).await;
    broker::publish_as(&bar.prefix.name, malformed, "application/json", b"\xa1order".to_vec()).await;
    // What reads like an order is one, whatever it is called.
    let customer = admin.get("/me").await.expect(200);
    let recipe = admin.get("/recipes/Negroni").await.expect(200);
    let good = Uuid::now_v7();
    broker::publish_as(&bar.prefix.name, good, "text/plain", message(good, id(&customer), &recipe)).await;

    let worker = bar.work().await;
    let letters = eventually("both to be dead letters", async || {
        let list = admin.get("/dead-letters").await.expect(200)["dead_letters"].clone();
        (list.as_array().unwrap().len() == 2).then_some(list)
    })
    .await;
    let letter = |order: Uuid| {
        let of = json!(order);
        letters.as_array().unwrap().iter().find(|letter| letter["order_id"] == of).unwrap().clone()
    };
    assert_eq!(letter(unknown)["attempts"], 3, "a later program might have come by then");
    assert_eq!(letter(unknown)["reason"], "of the type application/cbor, which this program does not read");
    assert_eq!(letter(malformed)["attempts"], 1, "JSON that is none stays so");
    assert_eq!(admin.get(&format!("/orders/{good}")).await.expect(200)["status"], "pending");

    worker.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_again_with_others_is_not_put_off_besides() {
    const RETRY_QUEUE: &str = "orders.after.600000ms";
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let admin = bar.sign_in(&url, "admin@example.com").await;
    let customer = admin.get("/me").await.expect(200);
    let recipe = admin.get("/recipes/Negroni").await.expect(200);
    let (good, newer) = (Uuid::now_v7(), Uuid::now_v7());
    let newer = json!({ "version": 2, "order": { "id": newer, "drinks": ["Negroni"] } }).to_string();
    let bundle =
        [b"\x1e", message(good, id(&customer), &recipe).as_slice(), b"\n\x1e", newer.as_bytes(), b"\n"]
            .concat();

    // A database that takes no order: the worker holds the message, and gives it back when it ends.
    let database = bar.database.client().await;
    database.batch_execute(&FAULT_TRIGGER.replace("NEW.note = 'poison'", "true")).await.unwrap();
    broker::publish_as(&bar.prefix.name, Uuid::now_v7(), "application/json-seq", bundle).await;
    let retries = [("RETRY_SECONDS", "600")];
    let worker = bar.work_with(&retries).await;
    eventually("a worker to have the message", async || {
        (broker::depth(&bar.prefix.name, "orders").await == Some(0)).then_some(())
    })
    .await;
    worker.stop().await;
    assert_eq!(broker::depth(&bar.prefix.name, "orders").await, Some(1), "it is back");
    assert_eq!(broker::depth(&bar.prefix.name, RETRY_QUEUE).await, None, "nothing is put off yet");

    database.batch_execute("DROP TRIGGER fault ON orders").await.unwrap();
    let worker = bar.work_with(&retries).await;
    eventually("the one to be stored and the other to be put off", async || {
        let found = (bar.database.count("orders").await, broker::depth(&bar.prefix.name, RETRY_QUEUE).await);
        (found == (1, Some(1))).then_some(())
    })
    .await;
    assert_eq!(broker::depth(&bar.prefix.name, "orders").await, Some(0));

    worker.stop().await;
    serve.stop().await;
    broker::delete_queues(&bar.prefix.name, &[RETRY_QUEUE]).await;
    bar.prefix.clear().await;
}
