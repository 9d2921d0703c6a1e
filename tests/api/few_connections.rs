//! A server that lets in few, or a pool that has few connections: requests wait for their turn instead of being refused.

use crate::support::{
    Bar,
    database::{Database, Kind},
    eventually,
    executable::run,
};
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_with_a_connection_limit_serves_all_who_come_at_once() {
    let database = Database::new(Kind::Postgres).await;
    let limit = format!("ALTER ROLE {} CONNECTION LIMIT 2", database.name());
    database.client().await.batch_execute(&limit).await.expect("a limit");
    let bar = Bar::open_on(database, &[]).await;
    let guest = bar.guest().await;
    // More than the limit, and few enough that the last has its turn in time on a busy machine.
    for answer in join_all((0..6).map(|_| guest.get("/orders"))).await {
        answer.expect(200);
    }
    guest.post("/orders", json!({ "recipe": "Negroni", "table": "7" })).await.expect(201);
    let others = format!("pg_stat_activity WHERE usename = '{}'", bar.database.name());
    assert!(bar.database.count(&others).await <= 2);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_waits_for_the_only_connection_for_as_long_as_its_work_may_take() {
    let database = Database::new(Kind::Postgres).await;
    let bar = Bar::open_on(database, &["--database-connections", "1"]).await;
    let (guest, admin) = (bar.customer().await, bar.admin().await);
    let mut holder = bar.database.client().await;
    let lock = holder.transaction().await.expect("a transaction");
    lock.batch_execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.expect("a lock");
    let waiting_for_the_lock = {
        let guest = guest.clone();
        tokio::spawn(async move { guest.get("/orders").await })
    };
    let waiters =
        format!("pg_stat_activity WHERE usename = '{}' AND wait_event_type = 'Lock'", bar.database.name());
    eventually("the only connection to be held up", async || {
        (bar.database.count(&waiters).await > 0).then_some(())
    })
    .await;
    let mut waiting_for_the_connection = tokio::spawn(async move { admin.get("/users").await });
    // Longer than a wait of two seconds, and shorter than the lock may take.
    let early = timeout(Duration::from_millis(2300), &mut waiting_for_the_connection).await;
    assert!(early.is_err(), "it was refused: {early:?}");
    lock.rollback().await.expect("released");
    waiting_for_the_connection.await.expect("an answer").expect(200);
    waiting_for_the_lock.await.expect("an answer");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrating_needs_no_second_connection_at_the_same_time() {
    let database = Database::empty().await;
    let owner = format!("{}_owner", database.name());
    let make = format!(
        "CREATE ROLE {owner} LOGIN CONNECTION LIMIT 2 PASSWORD '{}'; ALTER DATABASE {} OWNER TO {owner}",
        crate::support::database::APP_PASSWORD,
        database.name()
    );
    database.client().await.batch_execute(&make).await.expect("an owner");
    let migrated = run(&["migrate"], &[("DATABASE_URL", &database.url_as(&owner))]).await;
    assert!(migrated.status.success(), "{migrated:?}");
}
