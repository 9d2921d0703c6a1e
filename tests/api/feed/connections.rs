//! A server with few connections: requests come first, and the feed is read with theirs.

use super::{BOARD, add_menu_change, next_edition};
use crate::support::{Bar, PostgreSql, database::Database, events::Events, eventually, person::id};
use rstest::rstest;
use serde_json::json;

#[rstest]
#[case::one(1)]
#[case::two(2)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_with_few_connections_has_a_feed_and_serves_requests(#[case] limit: i32) {
    let database = Database::new(PostgreSql).await;
    let name = database.name().to_owned();
    let statement = format!("ALTER ROLE {name} CONNECTION LIMIT {limit}");
    database.client().await.batch_execute(&statement).await.expect("a limit");
    let bar = Bar::open_on(database, &[]).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let mut events = Events::open(&bartender, BOARD, None).await;
    for round in 0..3 {
        for _ in 0..3 {
            let order = eventually("an order to be taken", async || {
                let answer = guest.post("/orders", json!({ "recipe": "Negroni" })).await;
                (answer.status == 201).then_some(answer.body)
            })
            .await;
            // One whose outcome was unknown may have been recorded before it.
            while id(&events.next_named("order").await) != id(&order) {}
        }
        bar.database.execute(&add_menu_change(&round.to_string())).await;
        assert_eq!(next_edition(&mut events).await, round.to_string());
        // Whoever is first with a new connection: requests get theirs.
        bar.database.limit_sessions(limit).await;
        eventually("requests to be answered", async || {
            (guest.get("/orders").await.status == 200).then_some(())
        })
        .await;
    }
    let sessions = format!("pg_stat_activity WHERE usename = '{name}'");
    assert!(bar.database.count(&sessions).await <= i64::from(limit));
    drop(events);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reader_has_a_connection_besides_those_of_requests() {
    let bar = Bar::open_on(Database::new(PostgreSql).await, &["--database-connections", "1"]).await;
    let (admin, guest) = (bar.admin().await, bar.customer().await);
    let order = guest.order("Negroni").await;
    let mut events = Events::open(&bar.employee().await, BOARD, None).await;
    let mut holder = bar.database.client().await;
    let lock = holder.transaction().await.expect("a transaction");
    lock.batch_execute("LOCK TABLE dead_letters IN ACCESS EXCLUSIVE MODE").await.expect("a lock");
    // It occupies the only connection of requests.
    let waiting = tokio::spawn(async move { admin.get("/dead-letters").await });
    let waits =
        format!("pg_stat_activity WHERE usename = '{}' AND wait_event_type = 'Lock'", bar.database.name());
    eventually("the connection to be occupied", async || {
        (bar.database.count(&waits).await > 0).then_some(())
    })
    .await;
    let add = format!(
        "INSERT INTO changes (at, what)
        SELECT placed_at, json_build_object('orders', json_build_array(json_build_array(id, 1, customer_id)))
        FROM orders WHERE id = '{}'",
        id(&order)
    );
    bar.database.client().await.batch_execute(&add).await.unwrap();
    assert_eq!(id(&events.next_named("order").await), id(&order));
    assert!(!waiting.is_finished(), "it came once the connection was free");
    lock.rollback().await.expect("released");
    waiting.await.expect("an answer");
    drop(events);
    bar.close().await;
}
