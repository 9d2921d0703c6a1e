//! Databases with the schema of another version.

use super::{does, is_untouched, refuses, serve};
use crate::support::{PostgreSql, Sqlite, bar::SECRET, broker, database::Database};
use futures_util::future::join_all;
use shakerqueue::store::users;

/// Adds a migration that no version has yet, and with which programs before it can't work.
const ADD_CONTRACTING_MIGRATION: &str =
    "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231235959');
     UPDATE settings SET value = '99991231235959' WHERE name = 'compatible_since'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_does_not_start_on_a_database_that_nobody_migrated() {
    let (database, amqp) = (Database::empty().await, broker::url());
    let environment =
        [("DATABASE_URL", database.url.as_str()), ("JWT_SECRET", SECRET), ("BIND_ADDR", "127.0.0.1:0")];
    let with_broker =
        [environment.as_slice(), &[("AMQP_URL", &amqp), ("QUEUE_PREFIX", "test-unmigrated")]].concat();
    for (role, environment) in
        [("serve", environment.as_slice()), ("serve", &with_broker), ("work", &with_broker)]
    {
        let sentence = refuses(&[role], environment).await;
        assert!(sentence.contains("shakerqueue migrate"), "{role}: {sentence}");
    }
    assert!(is_untouched(&database).await, "looking left something behind");
    let (role, stranger) = {
        does(&["migrate"], &[("DATABASE_URL", &database.url)]).await;
        serve(&database, &[("JWT_SECRET", SECRET)]).await
    };
    stranger.get("/readyz").await.expect(200);
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_can_be_told_to_migrate() {
    let database = Database::empty().await;
    let environment =
        [("DATABASE_URL", database.url.as_str()), ("JWT_SECRET", SECRET), ("BIND_ADDR", "127.0.0.1:0")];
    let mut role = crate::support::executable::Role::start(&["serve", "--migrate"], &environment);
    role.url().await;
    assert_eq!(database.count("users").await, 0, "migrated, and not filled");
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_role_touches_a_database_of_a_later_version() {
    let amqp = broker::url();
    for kind in [Sqlite, PostgreSql] {
        let database = Database::new(kind).await;
        let url = ("DATABASE_URL", database.url.as_str());
        does(&["migrate"], &[url]).await;
        database.execute(ADD_CONTRACTING_MIGRATION).await;
        let mut commands = vec![
            vec!["serve"],
            vec!["serve", "--migrate"],
            vec!["serve", "--demo"],
            vec!["seed"],
            vec!["migrate"],
        ];
        let mut environment = vec![url, ("JWT_SECRET", SECRET), ("BIND_ADDR", "127.0.0.1:0")];
        if kind == PostgreSql {
            commands.push(vec!["work"]);
            environment.extend([("AMQP_URL", amqp.as_str()), ("QUEUE_PREFIX", "test-ahead")]);
        }
        for arguments in commands {
            let sentence = refuses(&arguments, &environment).await;
            assert!(
                sentence.contains("newer") && sentence.contains("no longer"),
                "{arguments:?}: {sentence}"
            );
        }
        let store = database.store();
        let users = store
            .read(async |conn| users::page(conn, users::UserFilter::default(), None, 10).await)
            .await
            .unwrap();
        assert!(users.is_empty(), "someone filled it");
        store.close();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_migrate_at_once() {
    for database in [Database::empty().await, Database::file()] {
        let environment = [("DATABASE_URL", database.url.as_str())];
        join_all((0..3).map(|_| does(&["migrate"], &environment))).await;
        let (role, stranger) = serve(&database, &[("JWT_SECRET", SECRET)]).await;
        stranger.get("/readyz").await.expect(200);
        role.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_its_own_is_named_by_the_search_path() {
    let database = Database::empty().await;
    database.client().await.batch_execute("CREATE SCHEMA cellar").await.unwrap();
    let url = format!("{}?options=-csearch_path%3Dcellar", database.url);
    does(&["migrate"], &[("DATABASE_URL", &url)]).await;
    assert!(is_untouched(&database).await, "something is in the schema public");
    let there = Database::at(url);
    let (role, stranger) = serve(&there, &[("JWT_SECRET", SECRET)]).await;
    stranger.get("/readyz").await.expect(200);
    role.stop().await;
}
