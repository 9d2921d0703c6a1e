//! Accepted orders that are not in the database: on their way, lost by the broker, or deleted.

use crate::{
    audit::sql,
    documents::commands::block,
    support::{
        Bar, DatabaseKind, Person, PostgreSql, Sqlite, broker, database::FAULT_TRIGGER, eventually,
        installation::Installation, person::id,
    },
};
use rstest::rstest;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
    time::{Instant, interval},
};

/// Settle time of one second: orders accepted before are settled once the queues are empty for that long, plus five
/// seconds of tolerance for clocks.
const SETTLE_SETTINGS: [(&str, &str); 1] = [("QUEUE_SETTLE_SECONDS", "1")];
/// Longer than the settle time and the delays before it.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(8);

/// Deletes every order, as the documented clean-up deletes old ones.
const DELETE_ALL_ORDERS: &str = "DELETE FROM order_lines; DELETE FROM order_moves; DELETE FROM orders;";

async fn until_gone(person: &Person, order: &Value) {
    eventually("the order to be known as gone", async || {
        let answer = person.sees(order).await;
        match answer.status {
            200 => None,
            _ => Some(answer.expect_problem(404, "no-longer-stored")),
        }
    })
    .await;
}

async fn stays_queued(person: &Person, order: &Value) {
    stays(person, order, "queued").await;
}

/// Polls for as long as it takes to settle an order.
async fn stays(person: &Person, order: &Value, status: &str) {
    let (begun, mut again) = (Instant::now(), interval(Duration::from_millis(200)));
    while begun.elapsed() < SETTLE_TIMEOUT {
        again.tick().await;
        assert_eq!(person.sees(order).await.expect(200)["status"], status);
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_an_order_that_is_deleted_is_gone_at_once(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, other, staff) = (bar.guest().await, bar.guest().await, bar.employee().await);
    let order = guest.order("Negroni").await;
    let keyed = guest.post_once("k", "/orders", json!({ "recipe": "Negroni" })).await.expect(201);
    let clean_up = match database {
        Sqlite => block("CREATE TEMP TABLE old"),
        PostgreSql => block("DELETE FROM orders USING old"),
    };
    for order in [&order, &keyed] {
        staff.moves(order, "fail").await.expect(422);
        staff.post(&format!("/orders/{}/fail", id(order)), json!({ "reason": "no ice" })).await.expect(200);
    }
    sql(&bar.database, "UPDATE orders SET placed_at = '2019-01-01 12:00:00.000000+00:00'").await.unwrap();
    sql(&bar.database, &clean_up.commands).await.unwrap();
    for order in [&order, &keyed] {
        for person in [&guest, &staff] {
            person.sees(order).await.expect_problem(404, "no-longer-stored");
            person
                .get(&format!("/orders/{}/history", id(order)))
                .await
                .expect_problem(404, "no-longer-stored");
            person.moves(order, "cancel").await.expect_problem(404, "no-longer-stored");
        }
        other.sees(order).await.expect_problem(404, "not-found");
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_broker_a_deleted_order_is_gone_once_the_queues_were_seen_empty() {
    let bar = Installation::new().await;
    let (worker, (first, first_url), (second, second_url)) =
        tokio::join!(bar.work(), bar.serve_with(&SETTLE_SETTINGS), bar.serve_with(&SETTLE_SETTINGS));
    let guest = bar.sign_in(&first_url, "user@example.com").await;
    let order = guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    let keyed = guest.post_once("k", "/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    eventually("both to be stored", async || (bar.database.count("orders").await == 2).then_some(())).await;
    // Who was told that an order is stored is not told otherwise, however soon it is deleted.
    for order in [&order, &keyed] {
        assert_eq!(guest.sees(order).await.expect(200)["status"], "pending");
    }
    bar.database.client().await.batch_execute(DELETE_ALL_ORDERS).await.unwrap();
    // Where they were accepted, and where they never were.
    for person in [&guest, &guest.at(&second_url)] {
        for order in [&order, &keyed] {
            until_gone(person, order).await;
        }
    }
    guest.moves(&order, "cancel").await.expect_problem(404, "no-longer-stored");
    assert_eq!(bar.database.count("orders").await, 0, "what was stored once is not published again");
    // The same key orders anew, and that is on its way.
    worker.stop().await;
    let anew = guest.post_once("k", "/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    assert_eq!(id(&anew), id(&keyed));
    assert_eq!(guest.sees(&anew).await.expect(200)["status"], "queued");

    for role in [first, second] {
        role.stop().await;
    }
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_worker_stays_queued_however_long() {
    let bar = Installation::new().await;
    let ((here, url), (there, other_url)) =
        tokio::join!(bar.serve_with(&SETTLE_SETTINGS), bar.serve_with(&SETTLE_SETTINGS));
    let guest = bar.sign_in(&url, "user@example.com").await;
    let order = guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    tokio::join!(stays_queued(&guest, &order), async {
        stays_queued(&guest.at(&other_url), &order).await;
    });
    assert_eq!(bar.prefix.waiting().await, 1, "and is not published again");
    let worker = bar.work().await;
    eventually("it to be stored", async || {
        (guest.sees(&order).await.expect(200)["status"] == "pending").then_some(())
    })
    .await;
    for role in [worker, here, there] {
        role.stop().await;
    }
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_to_be_tried_again_stays_queued() {
    let bar = Installation::new().await;
    let settings = [("RETRY_SECONDS", "60"), SETTLE_SETTINGS[0]];
    let ((serve, url), worker) = tokio::join!(bar.serve_with(&settings), bar.work_with(&settings));
    let guest = bar.sign_in(&url, "user@example.com").await;
    bar.database.client().await.batch_execute(FAULT_TRIGGER).await.unwrap();
    let poison = guest.post("/orders", json!({ "recipe": "Negroni", "note": "poison" })).await.expect(202);
    eventually("it to be put off", async || {
        (broker::depth(&bar.prefix.name, "orders.after.60000ms").await == Some(1)).then_some(())
    })
    .await;
    stays_queued(&guest, &poison).await;
    for role in [worker, serve] {
        role.stop().await;
    }
    broker::delete_queues(&bar.prefix.name, &["orders.after.60000ms"]).await;
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_holds_stays_queued_while_the_database_takes_no_orders() {
    let bar = Installation::new().await;
    let ((serve, url), worker) = tokio::join!(bar.serve_with(&SETTLE_SETTINGS), bar.work());
    let guest = bar.sign_in(&url, "user@example.com").await;
    let locked = bar.database.client().await;
    locked.batch_execute("BEGIN; LOCK TABLE orders IN SHARE MODE").await.unwrap();
    let order = guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    eventually("a worker to have it", async || {
        (broker::depth(&bar.prefix.name, "orders").await == Some(0)).then_some(())
    })
    .await;
    stays_queued(&guest, &order).await;
    locked.batch_execute("ROLLBACK").await.unwrap();
    eventually("it to be stored", async || {
        (guest.sees(&order).await.expect(200)["status"] == "pending").then_some(())
    })
    .await;
    for role in [worker, serve] {
        role.stop().await;
    }
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_lost_is_published_again_when_workers_are_back() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve_with(&SETTLE_SETTINGS).await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    let mut orders = Vec::new();
    for _ in 0..10 {
        orders.push(guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202));
    }
    orders.push(guest.post_once("k", "/orders", json!({ "recipe": "Negroni" })).await.expect(202));
    // As a policy that expires does.
    broker::delete_queues(&bar.prefix.name, &["orders"]).await;
    let worker = bar.work().await;
    for order in &orders {
        eventually("each to be stored", async || {
            (guest.sees(order).await.expect(200)["status"] == "pending").then_some(())
        })
        .await;
    }
    assert_eq!(bar.database.count("orders").await, 11);
    assert_eq!(bar.database.count("dead_letters").await, 0);
    for role in [worker, serve] {
        role.stop().await;
    }
    bar.prefix.clear().await;
}

/// Starts a server that answers like RabbitMQ's management API, with these queues.
async fn management(queues: watch::Receiver<Value>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n")
                && client.read_buf(&mut request).await.is_ok_and(|read| read > 0)
            {}
            let body = json!({ "items": *queues.borrow() }).to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = client.write_all((head + &body).as_bytes()).await;
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_stored_directly_while_a_policy_would_lose_them() {
    let bar = Installation::new().await;
    let (sender, queues) = watch::channel(json!([]));
    let url = management(queues).await;
    let (serve, url) = bar.serve_with(&[("AMQP_MANAGEMENT_URL", &url)]).await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    sender.send_replace(json!([{
        "name": format!("{}.orders.overrun", bar.prefix.name), "policy": "short",
        "effective_policy_definition": { "message-ttl": 60_000 },
    }]));
    let ready = eventually("the broker to count as down", async || {
        let ready = guest.get("/readyz").await.expect(200);
        (ready["parts"]["broker"] == "down").then_some(ready)
    })
    .await;
    let missing = &ready["missing"][0];
    assert_eq!(missing["part"], "broker");
    let reason = missing["reason"].as_str().unwrap();
    assert!(reason.contains(r#"the policy "short" (message-ttl: 60000)"#), "{reason}");
    guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(201);
    let metrics = guest.get("/metrics").await.text;
    assert!(metrics.contains("shakerqueue_broker_loses_orders 1"), "{metrics}");

    sender.send_replace(json!([{ "name": format!("{}.orders", bar.prefix.name), "policy": "pin",
        "effective_policy_definition": { "overflow": "reject-publish" } }]));
    eventually("the broker to be up", async || {
        let ready = guest.get("/readyz").await.expect(200);
        (ready["parts"]["broker"] == "up").then_some(())
    })
    .await;
    guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    serve.stop().await;
    bar.prefix.clear().await;
}
