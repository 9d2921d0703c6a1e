//! Unsuitable servers are refused at start, at once, before anything is written.

use crate::{
    documents::commands::block,
    support::{
        bar::SECRET,
        broker,
        database::Database,
        executable::run,
        pgbouncer::{PgBouncer, PoolMode},
    },
    walkthrough::are_here,
};
use std::time::{Duration, Instant};

/// Timeout of a role that waits for a database at start.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(30);

/// Checks that every role refuses this database at once, with an error that has all of these words.
async fn every_role_refuses(url: &str, words: &[&str]) {
    let amqp = broker::url();
    let environment =
        [("DATABASE_URL", url), ("JWT_SECRET", SECRET), ("BIND_ADDR", "127.0.0.1:0"), ("RUST_LOG", "off")];
    let with_broker = [("AMQP_URL", amqp.as_str()), ("QUEUE_PREFIX", "test-unfit")];
    for (arguments, more) in [
        (["serve"].as_slice(), [].as_slice()),
        (&["serve", "--migrate"], &[]),
        (&["serve"], &with_broker),
        (&["work"], &with_broker),
        (&["migrate"], &[]),
        (&["seed"], &[]),
        (&["dead-letters", "list"], &[]),
    ] {
        let begun = Instant::now();
        let ended = run(arguments, &[&environment, more].concat()).await;
        let said = String::from_utf8(ended.stderr).expect("UTF-8");
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(
            words.iter().all(|word| said.contains(word)) && said.lines().count() == 1,
            "{arguments:?}: {said}"
        );
        assert!(begun.elapsed() < STARTUP_TIMEOUT / 2, "{arguments:?} took {:?}", begun.elapsed());
    }
}

async fn tables(database: &Database) -> i64 {
    database.count("pg_tables WHERE schemaname = 'public'").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_lacks_characters_is_refused_by_every_role_and_stays_empty() {
    for encoding in ["WIN1252", "LATIN1", "SQL_ASCII"] {
        let database = Database::encoded(encoding).await;
        every_role_refuses(&database.url, &[encoding, "UTF8", "CREATE DATABASE", "TEMPLATE template0"]).await;
        assert_eq!(tables(&database).await, 0, "{encoding}: migrated all the same");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_statement_that_the_refusal_names_makes_a_database_that_is_taken() {
    let old = Database::encoded("WIN1252").await;
    let refused = run(&["migrate"], &[("DATABASE_URL", &old.url), ("RUST_LOG", "off")]).await;
    let said = String::from_utf8(refused.stderr).expect("UTF-8");
    let statement = said.split_once('(').and_then(|(_, rest)| rest.split_once(')')).expect("a statement").0;
    old.client().await.batch_execute(statement).await.expect("a new database");
    let new = Database::named(&format!("{}_utf8", old.name()));
    let migrated = run(&["migrate"], &[("DATABASE_URL", &new.url)]).await;
    assert!(migrated.status.success(), "{migrated:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documents_statement_makes_a_database_that_is_taken() {
    let statement = block("CREATE DATABASE").commands;
    let new = Database::reserved();
    let statement = statement.replace("DATABASE bar ", &format!("DATABASE {} ", new.name()));
    let server = Database::empty().await;
    server.client().await.batch_execute(&statement).await.expect("a new database");
    let migrated = run(&["migrate"], &[("DATABASE_URL", &new.url)]).await;
    assert!(migrated.status.success(), "{migrated:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbouncer_is_refused_by_every_role_and_nothing_is_written() {
    if !are_here(&["pgbouncer"]) {
        return;
    }
    let database = Database::empty().await;
    for mode in [PoolMode::Session, PoolMode::Transaction] {
        for ignored in ["", "options", "extra_float_digits, options"] {
            let pooler = PgBouncer::start(&database, mode, ignored).await;
            every_role_refuses(&pooler.url, &["PgBouncer", "DATABASE_URL", "PostgreSQL itself"]).await;
        }
    }
    assert_eq!(tables(&database).await, 0, "migrated all the same");
}
