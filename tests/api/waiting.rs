//! `Prefer: wait=N`, by many clients at once.

use crate::{
    metrics::{Scrape, becomes},
    support::{
        Bar, PostgreSql,
        broker::{self, Prefix},
        database::Database,
        eventually,
        installation::Installation,
        person::{id, send},
    },
};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

const WAITING_REQUESTS: i64 = 200;

/// Counts the transactions of a PostgreSQL database by connections that are closed. A query outside of one is one.
const COUNT_TRANSACTIONS: &str =
    "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_who_wait_ask_the_database_no_more_often_than_one() {
    let prefix = Prefix::new();
    let flags = ["--amqp-url", &broker::url(), "--queue-prefix", &prefix.name];
    let bar = Bar::open_on(Database::new(PostgreSql).await, &flags).await;
    let guest = bar.guest().await;
    let up = async || (bar.stranger().get("/readyz").await.body["parts"]["broker"] == "up").then_some(());
    eventually("the broker to be up", up).await;
    // No worker stores it.
    let order = guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    let path = format!("/orders/{}", id(&order));

    let client = bar.database.client().await;
    let before: i64 = client.query_one(COUNT_TRANSACTIONS, &[]).await.unwrap().get(0);
    let waiting =
        (0..WAITING_REQUESTS).map(|_| send(guest.request(Method::GET, &path).header("Prefer", "wait=4")));
    for answer in join_all(waiting).await {
        assert_eq!(answer.header("preference-applied"), Some("wait=4"));
        assert_eq!(answer.expect(200)["status"], "queued");
    }
    // What its connections did is counted when they end.
    let database = bar.shut().await;
    let after: i64 = database.client().await.query_one(COUNT_TRANSACTIONS, &[]).await.unwrap().get(0);
    // Each of them looks for the order once, among the orders and among the dead letters, before it waits. The rest are the
    // queries of all of them, and what the bar does besides.
    let besides = after - before - 2 * WAITING_REQUESTS;
    assert!(besides < 2 * WAITING_REQUESTS, "{besides} more queries, by {WAITING_REQUESTS} who waited");
    prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_wait_have_their_orders_once_they_are_stored_also_while_others_go_away() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    let mut placing = Vec::new();
    for number in 1..=20 {
        let order = json!({ "recipe": "Negroni", "note": format!("order {number}") });
        let order = guest.request(Method::POST, "/orders").header("Prefer", "wait=30").json(&order);
        placing.push(tokio::spawn(send(order)));
        // Only the waiting is concurrent: a `serve` may refuse orders that it can't confirm within a second.
        becomes(&url, r#"shakerqueue_orders_accepted_total{kept_by="broker"}"#, number.into()).await;
    }
    let order = guest.post("/orders", json!({ "recipe": "Mojito" })).await.expect(202);
    let wait = || guest.request(Method::GET, &format!("/orders/{}", id(&order))).header("Prefer", "wait=30");
    let gone = tokio::spawn(join_all((0..20).map(|_| send(wait())).collect::<Vec<_>>()));
    let reading = tokio::spawn(join_all((0..20).map(|_| send(wait())).collect::<Vec<_>>()));
    eventually("all clients to be connected", async || {
        (Scrape::of(&url).await.get("shakerqueue_http_connections") > 60.0).then_some(())
    })
    .await;
    gone.abort();
    let work = bar.work().await;
    for answer in join_all(placing).await {
        let answer = answer.unwrap();
        assert_eq!(answer.header("preference-applied"), Some("wait=30"));
        assert_eq!(answer.expect(201)["status"], "pending");
    }
    for answer in reading.await.unwrap() {
        assert_eq!(answer.expect(200)["status"], "pending");
    }
    work.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}
