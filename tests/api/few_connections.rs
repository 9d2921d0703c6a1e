//! A server or a pool with few connections: requests wait for one instead of being refused.

use crate::support::{
    Bar, PostgreSql,
    database::{APP_PASSWORD, Database},
    eventually,
    executable::run,
    person::send,
    proxy::Proxy,
};
use futures_util::future::join_all;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::json;
use shakerqueue::store::Store;
use std::time::Duration;
use tokio::time::{Instant, timeout};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_with_a_connection_limit_serves_all_who_come_at_once() {
    let database = Database::new(PostgreSql).await;
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
    let database = Database::new(PostgreSql).await;
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
async fn an_order_that_gets_no_connection_is_not_recorded_and_never_will_be() {
    // Without a broker, and with one that is away.
    for flags in [&[][..], &["--amqp-url", "amqp://guest:guest@127.0.0.1:9/%2f"]] {
        let bar = Bar::open_on(Database::new(PostgreSql).await, flags).await;
        let guest = bar.guest().await;
        bar.database.limit_sessions(0).await;
        for prefer in ["wait=0", "wait=10"] {
            let order = guest.request(Method::POST, "/orders").header("Prefer", prefer);
            let asked = Instant::now();
            let answer = send(order.json(&json!({ "recipe": "Negroni", "table": "7" }))).await;
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            answer.expect_problem(503, "unavailable");
            assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
        }
        bar.database.limit_sessions(-1).await;
        // Whatever is recorded is recorded in the order in which it came.
        let place = async || guest.post("/orders", json!({ "recipe": "Negroni", "table": "8" })).await;
        eventually("orders to be taken again", async || (place().await.status == 201).then_some(())).await;
        assert_eq!(bar.database.count("orders WHERE table_name = '7'").await, 0);
        assert_eq!(bar.database.count("orders WHERE table_name = '8'").await, 1);
        bar.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_guests_were_told_is_true_also_when_a_connection_comes_as_they_give_up() {
    let bar = Bar::open_on(Database::new(PostgreSql).await, &[]).await;
    let guest = bar.guest().await;
    bar.database.limit_sessions(0).await;
    let guests = (0..12_u32).map(|number| {
        let guest = guest.clone();
        tokio::spawn(async move {
            let mut told = Vec::new();
            for attempt in 0..50 {
                let table = format!("{number}.{attempt}");
                let answer = guest.post("/orders", json!({ "recipe": "Negroni", "table": table })).await;
                let is_taken = answer.status == 201;
                told.push((table, answer));
                if is_taken {
                    break;
                }
            }
            told
        })
    });
    let guests: Vec<_> = guests.collect();
    guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect_problem(503, "unavailable");
    bar.database.limit_sessions(-1).await;
    for (table, answer) in join_all(guests).await.into_iter().flat_map(|told| told.expect("no panic")) {
        let recorded = bar.database.count(&format!("orders WHERE table_name = '{table}'")).await;
        match answer.status {
            201 => assert_eq!(recorded, 1, "{table}"),
            // Where its transaction had begun nobody knows.
            503 if answer.body["type"] == "/problems/outcome-unknown" => assert!(recorded <= 1, "{table}"),
            _ => {
                answer.expect_problem(503, "unavailable");
                assert_eq!(recorded, 0, "{table}");
            }
        }
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_outcome_of_an_order_whose_transaction_has_begun_is_unknown() {
    let bar = Bar::open(PostgreSql).await;
    let guest = bar.guest().await;
    let mut holder = bar.database.client().await;
    let lock = holder.transaction().await.expect("a transaction");
    lock.batch_execute("LOCK TABLE orders IN EXCLUSIVE MODE").await.expect("a lock");
    let place = async || guest.post_once("a key", "/orders", json!({ "recipe": "Negroni" })).await;
    place().await.expect_problem(503, "outcome-unknown");
    lock.rollback().await.expect("released");
    eventually("it to be recorded", async || (bar.database.count("orders").await == 1).then_some(())).await;
    place().await.expect(201);
    assert_eq!(bar.database.count("orders").await, 1);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_not_asked_whether_it_is_there_by_what_only_waits_for_a_connection() {
    let database = Database::new(PostgreSql).await;
    let (line, url) = Proxy::before(&database.app_url).await;
    let bar = Bar::open_on(Database::at(url), &[]).await;
    let guest = bar.guest().await;
    database.limit_sessions(0).await;
    let mut reading = tokio::spawn(async move { guest.get("/orders").await });
    let before = line.probes();
    // It would ask each half second.
    assert!(timeout(Duration::from_secs(3), &mut reading).await.is_err(), "it does not wait");
    // On a busy machine the server takes as long to refuse a connection.
    let asked = line.probes() - before;
    assert!(asked <= 2, "asked {asked} times");
    database.limit_sessions(-1).await;
    reading.await.expect("an answer").expect(200);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_connection_learns_from_the_others_that_the_server_is_gone() {
    let database = Database::new(PostgreSql).await;
    let (line, url) = Proxy::before(&database.app_url).await;
    let bar = Bar::open_on(Database::at(url), &["--database-connections", "1"]).await;
    let guest = bar.guest().await;
    line.hold_answers();
    let asked = Instant::now();
    for answer in join_all((0..5).map(|_| guest.get("/orders"))).await {
        answer.expect_problem(503, "unavailable");
    }
    // The statement that has the connection is given up after 5 s.
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    line.restore();
    eventually("the server to be back", async || (guest.get("/orders").await.status == 200).then_some(()))
        .await;
    bar.close().await;
}

/// Creates an empty database whose owner may have this many sessions, and returns its URL as that role.
async fn owned(limit: i32) -> (Database, String) {
    let database = Database::empty().await;
    let name = database.name();
    let make = format!(
        "CREATE ROLE {name} LOGIN CREATEROLE CONNECTION LIMIT {limit} PASSWORD '{APP_PASSWORD}';
         ALTER DATABASE {name} OWNER TO {name}"
    );
    database.client().await.batch_execute(&make).await.expect("an owner");
    let url = database.url_as(name);
    (database, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_is_enough_for_migrating() {
    let (database, url) = owned(1).await;
    let app_role = format!("{}_owner", database.name());
    let environment =
        [("DATABASE_URL", url.as_str()), ("APP_ROLE", &app_role), ("APP_ROLE_PASSWORD", APP_PASSWORD)];
    // The second time there is nothing to do.
    for _ in 0..2 {
        let migrated = run(&["migrate"], &environment).await;
        assert!(migrated.status.success(), "{migrated:?}");
    }
    let (_another, url) = owned(1).await;
    Bar::open_on(Database::at(url), &["--migrate"]).await.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrating_waits_for_a_connection_for_longer_than_requests_do() {
    let (database, url) = owned(0).await;
    let store = Store::postgres(&SecretString::from(url), 4).expect("a store");
    let mut migrating = {
        let store = store.clone();
        tokio::spawn(async move { store.migrate().await })
    };
    let error = store.ping().await.expect_err("no connection").to_string();
    assert!(error.contains("accepts no further connection") && error.contains("CONNECTION LIMIT"), "{error}");
    // A request is given 6 s.
    assert!(timeout(Duration::from_secs(1), &mut migrating).await.is_err(), "it was given up");
    database.limit_sessions(1).await;
    migrating.await.expect("no panic").expect("migrated");
}
