//! Several orders under one `Idempotency-Key` at several instances: one is recorded, and none is a dead letter.

use crate::{
    dead_letters::message,
    metrics::becomes,
    races::contiguous,
    support::{
        Bar, Person, PostgreSql,
        broker::{self, Prefix},
        database::Database,
        eventually,
        executable::Role,
        installation::Installation,
        person::id,
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Starts a worker with metrics, and returns their URL.
async fn counted_work(bar: &Installation) -> (Role, String) {
    let mut work =
        Role::start(&["work"], &[&bar.environment()[..], &[("ADMIN_ADDR", "127.0.0.1:0")]].concat());
    let url = work.admin_url().await;
    (work, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_another_instance_took_is_answered_by_the_order_that_is_stored() {
    let bar = Installation::new().await;
    let ((here, here_url), (there, there_url)) = tokio::join!(bar.serve(), bar.serve());
    let worker = bar.work().await;
    let guest = bar.sign_in(&here_url, "user@example.com").await;
    let elsewhere = guest.at(&there_url);
    let (negroni, mojito) = (json!({ "recipe": "Negroni" }), json!({ "recipe": "Mojito" }));
    // On a busy machine the database may not say so in time, and the broker gets what was asked for: another key, then.
    let mut rounds = 0;
    eventually("the database to know a key in time", async || {
        rounds += 1;
        let key = format!("round {rounds}");
        let first = guest.post_once(&key, "/orders", negroni.clone()).await;
        assert_eq!(first.header("idempotency-replayed"), None);
        let first = first.expect(202);
        let again = guest.post_once(&key, "/orders", negroni.clone()).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (202, Some("true")), "{again:?}");
        eventually("the order to be stored", async || {
            (guest.sees(&first).await.expect(200)["status"] == "pending").then_some(())
        })
        .await;
        let repeated = elsewhere.post_once(&key, "/orders", negroni.clone()).await;
        let other = elsewhere.post_once(&key, "/orders", mojito.clone()).await;
        if [repeated.status, other.status].contains(&202) {
            return None;
        }
        assert!(repeated.header("etag").is_some());
        assert_eq!(repeated.header("idempotency-replayed"), Some("true"), "as the database knows it");
        let repeated = repeated.expect(201);
        assert_eq!((id(&repeated), &repeated["status"]), (id(&first), &json!("pending")));
        other.expect_problem(422, "idempotency-key-reused");
        Some(())
    })
    .await;
    assert_eq!(bar.database.count("orders").await, rounds);
    assert_eq!(bar.database.count("dead_letters").await, 0);
    for role in [worker, here, there] {
        role.stop().await;
    }
    bar.prefix.clear().await;
}

/// Asserts that the other orders changed neither the order nor its version, and that it still can be changed.
async fn is_unchanged(order: &Value, guest: &Person, staff: &Person) {
    let stored = guest.sees(order).await;
    assert!(stored.header("etag").unwrap().starts_with("\"1-"), "{:?}", stored.header("etag"));
    assert_eq!(stored.expect(200)["items"][0]["recipe"]["name"], "Negroni", "the first is kept");
    staff.moves(order, "cancel").await.expect(200);
    staff.moves(order, "undo").await.expect(200);
    let history = contiguous(guest, order).await;
    let last: Vec<_> = history[4..].iter().map(|entry| entry["to"].as_str().unwrap()).collect();
    assert_eq!(last, ["cancelled", "pending"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_contents_under_one_key_one_is_kept_and_its_history_names_a_few_others() {
    const KEY_REUSED_SERIES: &str = r#"shakerqueue_recorder_orders_total{outcome="key_reused"}"#;
    let bar = Installation::new().await;
    let ((here, here_url), (there, there_url)) = tokio::join!(bar.serve(), bar.serve());
    let guest = bar.sign_in(&here_url, "user@example.com").await;
    let (admin, staff) = (
        bar.sign_in(&here_url, "admin@example.com").await,
        bar.sign_in(&here_url, "employee@example.com").await,
    );
    // Neither knows of the other, and nothing is stored yet.
    let order = guest.post_once("round", "/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    let other = guest.at(&there_url).post_once("round", "/orders", json!({ "recipe": "Mojito" })).await;
    assert_eq!(id(&other.expect(202)), id(&order));

    let (work, work_url) = counted_work(&bar).await;
    becomes(&work_url, KEY_REUSED_SERIES, 1.0).await;
    let recipe = guest.get("/recipes/Negroni").await.expect(200);
    let order_id: Uuid = id(&order).parse().unwrap();
    let customer = guest.get("/me").await.expect(200);
    let content = |customer: &Value, note: &str| {
        let mut content: Value = serde_json::from_slice(&message(order_id, id(customer), &recipe)).unwrap();
        content["order"]["note"] = json!(note);
        content.to_string().into_bytes()
    };
    // What comes twice, as after a lost acknowledgement, is one entry.
    for _ in 0..2 {
        bar.prefix.publish(order_id, &content(&customer, "a")).await;
    }
    becomes(&work_url, KEY_REUSED_SERIES, 3.0).await;
    let entries = format!("orders_not_taken WHERE order_id = '{order_id}'");
    eventually("the entries", async || (bar.database.count(&entries).await == 2).then_some(())).await;
    for number in 0..20 {
        bar.prefix.publish(order_id, &content(&customer, &format!("b {number}"))).await;
    }
    becomes(&work_url, KEY_REUSED_SERIES, 23.0).await;
    eventually("nothing to wait", async || (bar.prefix.waiting().await == 0).then_some(())).await;
    // Another customer's is no repeat of anybody's.
    let stranger = admin.get("/me").await.expect(200);
    bar.prefix.publish(order_id, &content(&stranger, "a")).await;
    eventually("the dead letter", async || (bar.database.count("dead_letters").await == 1).then_some(()))
        .await;
    let letters = admin.get("/dead-letters").await.expect(200);
    assert!(letters["dead_letters"][0]["reason"].as_str().unwrap().contains("another order"), "{letters}");

    let history = contiguous(&guest, &order).await;
    assert_eq!(history.len(), 4, "{history:?}");
    for entry in &history[1..] {
        assert_eq!((&entry["from"], &entry["to"]), (&json!("pending"), &json!("pending")));
        assert_eq!(entry["reason"], "another order under this key was not taken");
        assert_eq!(entry["by"], customer["id"]);
    }
    is_unchanged(&order, &guest, &staff).await;
    for role in [work, here, there] {
        role.stop().await;
    }
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_database_to_ask_an_order_under_a_key_is_taken_all_the_same() {
    let prefix = Prefix::new();
    let flags = ["--amqp-url", &broker::url(), "--queue-prefix", &prefix.name];
    let bar = Bar::open_on(Database::new(PostgreSql).await, &flags).await;
    let guest: Person = bar.guest().await;
    let up = async || (bar.stranger().get("/readyz").await.body["parts"]["broker"] == "up").then_some(());
    eventually("the broker to be up", up).await;
    bar.database.take_down().await;
    let order = json!({ "recipe": "Negroni" });
    let first = guest.post_once("round", "/orders", order.clone()).await.expect(202);
    let again = guest.post_once("round", "/orders", order).await.expect(202);
    assert_eq!(id(&first), id(&again));
    let other = guest.post_once("round", "/orders", json!({ "recipe": "Mojito" })).await;
    other.expect_problem(422, "idempotency-key-reused");
    bar.database.bring_back().await;
    bar.close().await;
    prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_by_id_is_one_though_its_drink_is_renamed_while_it_is_on_its_way() {
    let bar = Installation::new().await;
    let ((here, here_url), (there, there_url)) = tokio::join!(bar.serve(), bar.serve());
    let guest = bar.sign_in(&here_url, "user@example.com").await;
    let staff = bar.sign_in(&here_url, "employee@example.com").await;
    let mut recipe = guest.get("/recipes/Negroni").await.expect(200);
    let path = format!("/recipes/{}", id(&recipe));
    let order = json!({ "recipe": recipe["id"], "note": "no ice" });
    let first = guest.post_once("k", "/orders", order.clone()).await.expect(202);
    recipe["name"] = json!("Negroni Classico");
    staff.put(&path, recipe).await.expect(200);
    let elsewhere = guest.at(&there_url);
    eventually("the new name to be known there", async || {
        (elsewhere.get(&path).await.expect(200)["name"] == "Negroni Classico").then_some(())
    })
    .await;
    // That one knows nothing of the first, which no worker has stored: the worker gets both.
    for person in [&guest, &elsewhere] {
        let again = person.post_once("k", "/orders", order.clone()).await.expect(202);
        assert_eq!(id(&again), id(&first));
    }
    let worker = bar.work().await;
    eventually("the order to be stored, and nothing to wait", async || {
        let stored = guest.sees(&first).await.expect(200)["status"] == "pending";
        (stored && bar.prefix.waiting().await == 0).then_some(())
    })
    .await;
    assert_eq!(guest.sees(&first).await.expect(200)["items"][0]["recipe"]["name"], "Negroni");
    assert_eq!(contiguous(&guest, &first).await.len(), 1, "no other order was there");
    for (rows, count) in [("orders", 1), ("dead_letters", 0), ("orders_not_taken", 0)] {
        assert_eq!(bar.database.count(rows).await, count, "{rows}");
    }
    for role in [worker, here, there] {
        role.stop().await;
    }
    bar.prefix.clear().await;
}
