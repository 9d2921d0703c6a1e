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
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

const WAITING_REQUESTS: i64 = 200;

/// Counts the transactions of a PostgreSQL database by connections that are closed. A query outside of one is one.
const COUNT_TRANSACTIONS: &str =
    "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";

/// Opens a bar, lets this many clients wait for an order that no worker stores, and counts the transactions of the bar,
/// from its opening to its end.
async fn transactions(database: Database, flags: &[&str], clients: i64) -> (Database, i64) {
    let count = async |database: &Database| -> i64 {
        database.client().await.query_one(COUNT_TRANSACTIONS, &[]).await.unwrap().get(0)
    };
    let before = count(&database).await;
    let bar = Bar::open_on(database, flags).await;
    let guest = bar.guest().await;
    let up = async || (bar.stranger().get("/readyz").await.body["parts"]["broker"] == "up").then_some(());
    eventually("the broker to be up", up).await;
    let order = guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    let path = format!("/orders/{}", id(&order));
    let waiting = (0..clients).map(|_| send(guest.request(Method::GET, &path).header("Prefer", "wait=4")));
    for answer in join_all(waiting).await {
        assert_eq!(answer.header("preference-applied"), Some("wait=4"));
        assert_eq!(answer.expect(200)["status"], "queued");
    }
    // What its connections did is counted when they end.
    let database = bar.shut().await;
    let after = count(&database).await;
    (database, after - before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_who_wait_ask_the_database_no_more_often_than_one() {
    let prefix = Prefix::new();
    // Each connection prepares its own statements: the more of them, the more transactions.
    let flags = ["--amqp-url", &broker::url(), "--queue-prefix", &prefix.name, "--database-connections", "2"];
    // The first bar on a database fills it.
    let database = Bar::open_on(Database::new(PostgreSql).await, &flags).await.shut().await;
    let (database, of_one) = transactions(database, &flags, 1).await;
    let (_database, of_all) = transactions(database, &flags, WAITING_REQUESTS).await;
    // Each of them looks for the order once, among the orders and among the dead letters, before it waits.
    let more = of_all - of_one - 2 * (WAITING_REQUESTS - 1);
    // The feed is read four times a second in both cases, and how long the bars were open differs a little.
    assert!(more < WAITING_REQUESTS / 4, "{WAITING_REQUESTS} made {more} more queries than one");
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
        placing.push(tokio::spawn(async { (send(order).await, Utc::now()) }));
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
    let mut delays = Vec::new();
    for placed in join_all(placing).await {
        let (answer, answered_at) = placed.unwrap();
        assert_eq!(answer.header("preference-applied"), Some("wait=30"));
        let order = answer.expect(201);
        assert_eq!(order["status"], "pending");
        let recorded_at: DateTime<Utc> = order["recorded_at"].as_str().unwrap().parse().unwrap();
        delays.push((answered_at - recorded_at).num_milliseconds());
    }
    // Without the feed they would ask once a second, each at another moment, and have half a second in the median.
    delays.sort_unstable();
    assert!(delays[delays.len() / 2] < 300, "the feed wakes them: {delays:?} ms");
    for answer in reading.await.unwrap() {
        assert_eq!(answer.expect(200)["status"], "pending");
    }
    work.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}
