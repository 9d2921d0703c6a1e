//! Migrations while other versions and other processes are at work.

use super::{does, refuses, serve};
use crate::support::{
    DatabaseKind::{self, PostgreSql, Sqlite},
    bar::SECRET,
    database::Database,
    eventually,
};
use futures_util::future::join_all;
use rstest::rstest;
use shakerqueue::store::{changes, settings};
use std::time::Duration;
use tokio::time::sleep;

/// Advisory lock that the program takes while it migrates.
const LOCK: i64 = 0x0073_6861_6b65_7200;

/// Adds a migration that no version has yet, and with which this version can work.
const ADD_LATER_MIGRATION: &str =
    "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231235959')";

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_later_version_is_worked_with_while_it_is_compatible(
    #[values(Sqlite, PostgreSql)] kind: DatabaseKind,
) {
    let database = Database::new(kind).await;
    let url = ("DATABASE_URL", database.url.as_str());
    does(&["migrate"], &[url]).await;
    // A later version's column, and its rule for names.
    database.execute("ALTER TABLE recipes ADD COLUMN later TEXT").await;
    database.execute(ADD_LATER_MIGRATION).await;
    does(&["seed"], &[url]).await;
    database
        .execute("UPDATE recipes SET name_key = 'as a later version has it' WHERE name = 'Negroni'")
        .await;
    does(&["migrate"], &[url]).await;
    let (role, stranger) = serve(&database, &[("JWT_SECRET", SECRET)]).await;
    stranger.get("/readyz").await.expect(200);
    let menu = stranger.get("/recipes").await.expect(200);
    assert!(menu["recipes"].as_array().is_some_and(|recipes| recipes.len() > 1), "{menu}");
    role.stop().await;
    let copy =
        "INSERT INTO settings (name, value) SELECT 'later', name_key FROM recipes WHERE name = 'Negroni'";
    database.execute(copy).await;
    let store = database.store();
    let key = store.read(async |conn| settings::get(conn, "later").await).await.expect("a key");
    assert_eq!(key.as_deref(), Some("as a later version has it"), "migrating undid it");
    store.close();

    // A migration after it removes what this version needs.
    for since in [
        "UPDATE settings SET value = '99991231235959' WHERE name = 'compatible_since'",
        "DELETE FROM settings WHERE name = 'compatible_since'",
    ] {
        database.execute(since).await;
        let sentence =
            refuses(&["serve"], &[url, ("JWT_SECRET", SECRET), ("BIND_ADDR", "127.0.0.1:0")]).await;
        assert!(sentence.contains("run the program's newer version"), "{sentence}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_an_earlier_version_must_be_migrated() {
    let database = Database::new(PostgreSql).await;
    // Nothing but its entry is missing: `changes` can be added again.
    database
        .execute(
            "DROP TABLE changes; DELETE FROM __diesel_schema_migrations WHERE version = '20261127070000'",
        )
        .await;
    let environment =
        [("DATABASE_URL", database.url.as_str()), ("JWT_SECRET", SECRET), ("BIND_ADDR", "127.0.0.1:0")];
    let sentence = refuses(&["serve"], &environment).await;
    assert!(sentence.contains("older") && sentence.contains("shakerqueue migrate"), "{sentence}");
    does(&["migrate"], &environment).await;
    let (role, stranger) = serve(&database, &[("JWT_SECRET", SECRET)]).await;
    stranger.get("/readyz").await.expect(200);
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_to_migrate_is_in_nobodys_way() {
    let database = Database::empty().await;
    let holder = database.client().await;
    holder.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})")).await.unwrap();
    let waiting = {
        let url = database.url.clone();
        tokio::spawn(async move {
            let environment = [("DATABASE_URL", url.as_str())];
            join_all((0..3).map(|_| does(&["migrate"], &environment))).await;
        })
    };
    let ours = "pg_stat_activity WHERE datname = current_database() AND application_name = 'shakerqueue'";
    eventually("all of them to wait", async || (database.count(ours).await == 3).then_some(())).await;
    // What takes long: an index that is built concurrently waits for every older snapshot.
    let builder = database.client().await;
    builder.batch_execute("CREATE TABLE large (id INT)").await.unwrap();
    for _ in 0..10 {
        builder.batch_execute("CREATE INDEX CONCURRENTLY large_id ON large (id)").await.unwrap();
        builder.batch_execute("DROP INDEX large_id").await.unwrap();
        let held_up = format!("{ours} AND state <> 'idle' AND wait_event_type = 'Lock'");
        assert_eq!(database.count(&held_up).await, 0, "someone waits with a snapshot");
        sleep(Duration::from_millis(50)).await;
    }
    assert!(!waiting.is_finished());
    assert_eq!(database.count("pg_tables WHERE tablename = 'orders'").await, 0, "someone did not wait");
    holder.batch_execute(&format!("SELECT pg_advisory_unlock({LOCK})")).await.unwrap();
    waiting.await.expect("all of them migrate");
    assert_eq!(database.count("orders").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_was_left_half_built_is_dropped_and_can_be_built_again() {
    let database = Database::new(PostgreSql).await;
    let owner = database.client().await;
    owner.batch_execute("CREATE TABLE large (id INT); INSERT INTO large VALUES (1), (1)").await.unwrap();
    let build = "CREATE UNIQUE INDEX CONCURRENTLY large_id ON large (id)";
    owner.batch_execute(build).await.expect_err("equal rows");
    // Further ones that are not to be used, but not ours to drop, or not to be dropped.
    owner
        .batch_execute(
            "CREATE SCHEMA theirs; CREATE TABLE theirs.large (id INT); CREATE INDEX theirs_id ON theirs.large (id);
            UPDATE pg_index SET indisvalid = false
            WHERE indexrelid IN ('theirs.theirs_id'::regclass, 'order_lines_pkey'::regclass)",
        )
        .await
        .unwrap();
    owner.batch_execute("DELETE FROM large").await.unwrap();
    let indexes = "pg_class WHERE relkind = 'i' AND relname IN ('large_id', 'theirs_id', 'order_lines_pkey')";
    assert_eq!(database.count(indexes).await, 3);
    does(&["migrate"], &[("DATABASE_URL", &database.url)]).await;
    assert_eq!(database.count(indexes).await, 2);
    owner.batch_execute(build).await.expect("it is built again");
    does(&["migrate"], &[("DATABASE_URL", &database.url)]).await;
    assert_eq!(database.count(indexes).await, 3, "a whole one stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_somebody_builds_now_is_left_alone() {
    let database = Database::new(PostgreSql).await;
    let (owner, mut writer) = (database.client().await, database.client().await);
    owner.batch_execute("CREATE TABLE large (id INT)").await.unwrap();
    // Building waits for this transaction.
    let writing = writer.transaction().await.unwrap();
    writing.batch_execute("INSERT INTO large VALUES (1)").await.unwrap();
    let building =
        tokio::spawn(
            async move { owner.batch_execute("CREATE INDEX CONCURRENTLY large_id ON large (id)").await },
        );
    let half_built = "pg_index WHERE indexrelid = to_regclass('large_id') AND NOT indisvalid";
    eventually("the index to be half built", async || (database.count(half_built).await == 1).then_some(()))
        .await;
    does(&["migrate"], &[("DATABASE_URL", &database.url)]).await;
    writing.commit().await.unwrap();
    building.await.expect("no panic").expect("an index");
    assert_eq!(database.count(half_built).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_may_have_a_text_for_sqlite() {
    let database = Database::new(Sqlite).await;
    does(&["migrate"], &[("DATABASE_URL", &database.url)]).await;
    let add = "INSERT INTO changes (at, what) SELECT '2026-11-27 21:00:00', '{}'";
    database.execute(add).await;
    database.execute("DELETE FROM changes").await;
    database.execute(add).await;
    let store = database.store();
    let position = store.read(async |conn| changes::position(conn).await).await.expect("a position");
    assert!(position.to_string().starts_with("2-"), "no number is given twice: {position}");
    store.close();
}
