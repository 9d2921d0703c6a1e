//! Statistics of PostgreSQL: scans of whole tables, and index entries read.

use super::{PAGE_SIZE, background, requests};
use crate::documents::commands::block;
use crate::support::{Bar, PostgreSql, database::Database, eventually};
use tokio_postgres::Client;

/// Fills in as many orders as the benchmarks do, so that the planner chooses as it does among many.
const FILL_SQL: &str = include_str!("../../../benches/load/fill.sql");
const ORDERS: &str = "30000";
/// Adds audit entries, half of them old ones of the bartender, so that an index over all entries would find those late.
const ADD_AUDIT_ENTRIES: &str = "INSERT INTO audit_entries (id, at, actor_id, action, subject_kind, subject_id, changes)
    SELECT md5('entry ' || n)::uuid, now() - n * interval '30 min',
           CASE WHEN n > 15000 THEN (SELECT id FROM users WHERE email = 'employee@example.com') ELSE md5('actor ' || n % 50)::uuid END,
           CASE WHEN n % 4 = 0 THEN 'recipe_availability_changed' WHEN n % 100 = 1 THEN 'recipe_added'
               ELSE 'account_registered' END,
           CASE WHEN n % 4 = 0 OR n % 100 = 1 THEN 'recipe' ELSE 'account' END, md5('subject ' || n % 300)::uuid, '[]'
    FROM generate_series(1, 30000) AS n";
/// Orders on the board among them.
const LIVE_ORDERS: u64 = 2_200;

/// Executions after which PostgreSQL has changed from custom plans to a generic one.
const EXECUTIONS: u64 = 7;

/// Returns the number of table scans, and of entries read from the indexes of orders, so far.
async fn counted(client: &Client) -> (i64, i64) {
    // A connection's counts are complete once it is closed.
    eventually("the connections of the bar to close", async || {
        let open = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'shakerqueue'";
        client.query(open, &[]).await.expect("an answer").is_empty().then_some(())
    })
    .await;
    let row = client
        .query_one(
            "SELECT (SELECT sum(seq_scan)::bigint FROM pg_stat_user_tables
                     WHERE relname IN ('orders', 'order_lines', 'order_moves', 'audit_entries')),
                    (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes
                     WHERE relname IN ('orders', 'audit_entries')
                         OR indexrelname IN ('moves_newest', 'moves_of_actor'))",
            &[],
        )
        .await
        .expect("counts");
    (row.get(0), row.get(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_reads_more_of_many_orders_than_it_shows() {
    let bar = Bar::open(PostgreSql).await;
    let client = bar.database.client().await;
    client.batch_execute(&FILL_SQL.replace("{orders}", ORDERS)).await.expect("orders");
    client.batch_execute(ADD_AUDIT_ENTRIES).await.expect("a trail");
    client.batch_execute("VACUUM ANALYZE").await.expect("statistics");
    let requests = requests(&bar, LIVE_ORDERS, 150).await;
    let database = bar.shut().await;

    let mut wrong = Vec::new();
    let mut before = counted(&client).await;
    for request in requests {
        let bar = Bar::open_on(database.lent(), &["--database-connections", "1"]).await;
        for _ in 0..EXECUTIONS {
            request.ask(&bar.url).await;
        }
        bar.close().await;
        let now = counted(&client).await;
        let (scans, read) = (now.0 - before.0, u64::try_from(now.1 - before.1).expect("counting up"));
        if scans > 0 || read > request.max_entries * EXECUTIONS {
            wrong.push(format!(
                "{}: {scans} scans of whole tables, {read} entries read of indexes",
                request.name
            ));
        }
        before = now;
    }
    for customers in [1, 1000] {
        let store = database.store();
        for _ in 0..EXECUTIONS {
            background(&store, customers).await;
        }
        store.close();
        let now = counted(&client).await;
        let (scans, read) = (now.0 - before.0, u64::try_from(now.1 - before.1).expect("counting up"));
        // What is live, from each index that may lead to it: of the others nobody has anything of today.
        if scans > 0 || read > (3 * LIVE_ORDERS + PAGE_SIZE) * EXECUTIONS {
            wrong.push(format!(
                "open orders of {customers}: {scans} scans of whole tables, {read} entries read"
            ));
        }
        before = now;
    }
    assert!(wrong.is_empty(), "{EXECUTIONS} times each:\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_own_way_of_cleaning_up_is_kept() {
    let database = Database::new(PostgreSql).await;
    let client = database.client().await;
    let cleaning = async || {
        let options = "SELECT reloptions FROM pg_class WHERE oid = 'orders'::regclass";
        client.query_one(options, &[]).await.expect("orders").get::<_, Vec<String>>(0)
    };
    assert!(cleaning().await.contains(&"vacuum_index_cleanup=on".to_owned()), "{:?}", cleaning().await);
    let own = "ALTER TABLE orders RESET (vacuum_index_cleanup, autovacuum_vacuum_threshold)";
    client.batch_execute(own).await.expect("ALTER TABLE");
    let store = database.store();
    store.migrate().await.expect("nothing to migrate");
    store.close();
    assert_eq!(cleaning().await, ["autovacuum_vacuum_scale_factor=0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_orders_are_deleted_as_documented() {
    const OLD_ORDERS: &str = "orders WHERE placed_at < now() - interval '1 year'";
    let bar = Bar::open(PostgreSql).await;
    let client = bar.database.client().await;
    client.batch_execute(&FILL_SQL.replace("{orders}", "15000")).await.expect("orders");
    // One that somebody forgot.
    let forget =
        "UPDATE orders SET status = 'ready' WHERE id = (SELECT id FROM orders ORDER BY placed_at LIMIT 1)";
    client.execute(forget, &[]).await.expect("UPDATE");
    let (all, old) = (bar.database.count("orders").await, bar.database.count(OLD_ORDERS).await);
    assert!(old > 5_000, "one batch is not enough");

    let statement = block("DELETE FROM orders USING old").commands;
    while client.execute(&statement, &[]).await.expect("DELETE") > 0 {}
    assert_eq!(bar.database.count(OLD_ORDERS).await, 1, "what is not finished stays");
    assert_eq!(bar.database.count("orders").await, all - old + 1);
    for part in ["order_lines", "order_moves"] {
        let kept = format!("orders WHERE id IN (SELECT order_id FROM {part})");
        assert_eq!(bar.database.count(&kept).await, all - old + 1, "{part}");
    }
    bar.close().await;
}
