//! The PostgreSQL role of `serve` and `work`: its creation, and that it may do nothing more. All other tests use it
//! (`support/bar.rs`, `support/installation.rs`), which shows that it may do enough.

use crate::support::{
    PostgreSql,
    database::{APP_PASSWORD, Database},
    executable::run,
};
use std::process::Output;
use tokio_postgres::{Client, error::SqlState};

/// Connects as this role, or returns the reason of the refusal.
async fn sign_in(url: &str, password: &str) -> Result<Client, SqlState> {
    let mut url = url::Url::parse(url).unwrap();
    url.set_password(Some(password)).unwrap();
    match url.as_str().parse::<tokio_postgres::Config>().unwrap().connect(tokio_postgres::NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            Ok(client)
        }
        Err(error) => Err(error.code().expect("the server's answer").clone()),
    }
}

async fn app(database: &Database) -> Client {
    sign_in(&database.app_url, APP_PASSWORD).await.unwrap()
}

async fn as_owner(database: &Database, statements: &str) {
    database.client().await.batch_execute(statements).await.expect(statements);
}

/// Runs `migrate --app-role` as the role of this URL.
async fn migrate(url: &str, role: &str, password: &str) -> Output {
    let environment = [("DATABASE_URL", url), ("APP_ROLE_PASSWORD", password), ("RUST_LOG", "off")];
    run(&["migrate", "--app-role", role], &environment).await
}

/// Returns the error message of a refused command.
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_change_nothing_but_rows() {
    let database = Database::new(PostgreSql).await;
    let app = app(&database).await;
    let is_denied = [SqlState::INSUFFICIENT_PRIVILEGE];
    for statement in [
        "CREATE TABLE theirs (id INT)",
        "CREATE SCHEMA theirs",
        "CREATE FUNCTION theirs() RETURNS INT LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW theirs AS SELECT 1",
        "CREATE INDEX theirs ON orders (note)",
        "CREATE TRIGGER theirs BEFORE INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION is_append_only()",
        "CREATE RULE theirs AS ON INSERT TO orders DO INSTEAD NOTHING",
        "CREATE ROLE theirs",
        "CREATE DATABASE theirs",
        "DROP TABLE login_attempts",
        "DROP TRIGGER audit_entries_stay ON audit_entries",
        "DROP FUNCTION is_append_only CASCADE",
        "ALTER TABLE orders ADD COLUMN theirs INT",
        "ALTER TABLE audit_entries DISABLE TRIGGER ALL",
        "ALTER TABLE orders OWNER TO CURRENT_USER",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "TRUNCATE login_attempts",
        "TRUNCATE orders CASCADE",
        "TRUNCATE changes",
        "ALTER TABLE changes DISABLE TRIGGER ALL",
        "UPDATE audit_entries SET actor_id = NULL",
        "DELETE FROM audit_entries",
        "DELETE FROM __diesel_schema_migrations",
        "SET session_replication_role = replica",
        "COPY orders TO PROGRAM 'true'",
        "COPY orders FROM '/etc/passwd'",
        "GRANT SELECT ON orders TO PUBLIC",
    ] {
        match app.batch_execute(statement).await {
            // Of what it may not grant it is only warned.
            Ok(()) => assert!(statement.starts_with("GRANT"), "it may {statement}"),
            Err(error) => assert!(is_denied.contains(error.code().unwrap()), "{statement}: {error:?}"),
        }
    }
    assert_eq!(database.count("pg_tables WHERE tablename = 'theirs'").await, 0);
    let everybody = "pg_class WHERE relname = 'orders' AND relacl::text LIKE '%{=r%'";
    assert_eq!(database.count(everybody).await, 0, "everybody may read orders");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_use_every_table_and_those_of_later_migrations() {
    let database = Database::new(PostgreSql).await;
    as_owner(&database, "CREATE TABLE later (id BIGSERIAL PRIMARY KEY, note TEXT)").await;
    let app = app(&database).await;
    let use_it = "INSERT INTO later (note) VALUES ('a'); UPDATE later SET note = 'b'; DELETE FROM later";
    app.batch_execute(use_it).await.unwrap();
    app.batch_execute("TRUNCATE later").await.expect_err("refused");
    let missing = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
            AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')) ORDER BY relname";
    let missing: Vec<String> = app.query(missing, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(missing, ["__diesel_schema_migrations", "audit_entries"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_write_and_read_changes_and_learn_which_feed_they_are_of() {
    let database = Database::new(PostgreSql).await;
    let app = app(&database).await;
    app.batch_execute("LISTEN shakerqueue_changes").await.unwrap();
    app.batch_execute("INSERT INTO changes (at, what) VALUES (now(), '{}')").await.unwrap();
    app.batch_execute("SELECT pg_notify('shakerqueue_changes', '')").await.unwrap();
    let seen = "SELECT count(*) FROM changes WHERE xid >= pg_snapshot_xmin(pg_current_snapshot())
        OR pg_visible_in_snapshot(xid, pg_current_snapshot())";
    assert_eq!(app.query_one(seen, &[]).await.unwrap().get::<_, i64>(0), 1);
    app.batch_execute("DELETE FROM changes").await.unwrap();
    let names =
        "SELECT system_identifier::text || pg_walfile_name(pg_current_wal_lsn()) FROM pg_control_system()";
    assert!(!app.query_one(names, &[]).await.unwrap().get::<_, String>(0).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn making_it_again_changes_its_password_and_takes_away_what_it_got_since() {
    let database = Database::new(PostgreSql).await;
    // Of its numbers it may only take the next one.
    let more = format!(
        "CREATE TABLE later (id BIGSERIAL PRIMARY KEY); REVOKE ALL ON later_id_seq FROM {0}; GRANT UPDATE ON later_id_seq TO {0};
        GRANT TRUNCATE, DELETE ON audit_entries TO {0}; GRANT UPDATE (actor_id) ON audit_entries TO {0}; ALTER ROLE {0} NOLOGIN",
        database.name()
    );
    as_owner(&database, &more).await;
    for password in ["another one", "another one", "it's \"quoted\" \\ $1"] {
        let done = migrate(&database.url, database.name(), password).await;
        assert!(done.status.success(), "{done:?}");
        assert!(String::from_utf8(done.stdout).unwrap().contains(database.name()));
        let app = sign_in(&database.app_url, password).await.unwrap();
        app.batch_execute("UPDATE audit_entries SET actor_id = NULL").await.expect_err("refused");
        app.batch_execute("TRUNCATE audit_entries").await.expect_err("refused");
        app.batch_execute("INSERT INTO later DEFAULT VALUES").await.unwrap();
        app.batch_execute("SELECT setval('later_id_seq', 1)").await.expect_err("refused");
    }
    assert_eq!(sign_in(&database.app_url, APP_PASSWORD).await.err(), Some(SqlState::INVALID_PASSWORD));
    let stored = "pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256$%' AND rolname = ";
    assert_eq!(database.count(&format!("{stored}'{}'", database.name())).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_is_no_superuser_can_make_it() {
    let database = Database::empty().await;
    let owner = format!("{}_owner", database.name());
    let make = format!(
        "CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD '{APP_PASSWORD}'; ALTER DATABASE {} OWNER TO {owner}",
        database.name()
    );
    as_owner(&database, &make).await;
    for _ in 0..2 {
        let done = migrate(&database.url_as(&owner), database.name(), APP_PASSWORD).await;
        assert!(done.status.success(), "{done:?}");
    }
    let app = sign_in(&database.url_as(database.name()), APP_PASSWORD).await.unwrap();
    app.batch_execute("DELETE FROM orders").await.unwrap();
    // The server's superuser does not own these tables, and later ones would be none that the role may use.
    let refused = refusal(&migrate(&database.url, database.name(), APP_PASSWORD).await);
    assert!(refused.contains(&owner), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_more_is_refused_and_stays_as_it_is() {
    let database = Database::new(PostgreSql).await;
    let name = database.name();
    for (make, unmake, named) in [
        ("ALTER ROLE app CREATEDB", "ALTER ROLE app NOCREATEDB", "administrator"),
        ("ALTER ROLE app SUPERUSER", "ALTER ROLE app NOSUPERUSER", "administrator"),
        ("GRANT pg_read_all_data TO app", "REVOKE pg_read_all_data FROM app", "member"),
        ("CREATE TABLE theirs (); ALTER TABLE theirs OWNER TO app", "DROP TABLE theirs", "owns"),
        ("GRANT CREATE ON SCHEMA public TO app", "REVOKE CREATE ON SCHEMA public FROM app", "create tables"),
        (
            "GRANT CREATE ON SCHEMA public TO PUBLIC",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            "create tables",
        ),
        ("GRANT TRUNCATE ON orders TO PUBLIC", "REVOKE TRUNCATE ON orders FROM PUBLIC", "truncate"),
    ] {
        as_owner(&database, &make.replace("app", name)).await;
        let refused = refusal(&migrate(&database.url, name, "another one").await);
        assert!(refused.contains(named) && refused.contains(name), "{make}: {refused}");
        assert_eq!(sign_in(&database.app_url, "another one").await.err(), Some(SqlState::INVALID_PASSWORD));
        as_owner(&database, &unmake.replace("app", name)).await;
    }
    assert!(migrate(&database.url, name, "another one").await.status.success());
    // Nor does it change the owner's own password.
    let owner = url::Url::parse(&database.url).unwrap();
    let refused = refusal(&migrate(&database.url, owner.username(), "another one").await);
    assert!(refused.contains("migrates"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_made_is_refused_with_a_sentence() {
    let (file, server) = (Database::file(), Database::new(PostgreSql).await);
    for (database, name, password, named) in [
        (&file, "bar_app", "a password", "SQLite"),
        (&server, "bar_app", "", "APP_ROLE_PASSWORD"),
        (&server, "", "a password", "--app-role"),
    ] {
        let mut environment = vec![("DATABASE_URL", database.url.as_str()), ("RUST_LOG", "off")];
        environment.extend(
            [("APP_ROLE", name), ("APP_ROLE_PASSWORD", password)]
                .iter()
                .filter(|(_, value)| !value.is_empty()),
        );
        let refused = refusal(&run(&["migrate"], &environment).await);
        assert!(refused.contains(named) && !refused.contains("a password"), "{refused}");
    }
    let size = std::fs::metadata(file.url.strip_prefix("sqlite://").unwrap()).map_or(0, |file| file.len());
    assert_eq!(size, 0, "it was migrated");
    let named_wrongly = migrate(&server.url, "bar; DROP TABLE orders", "a password").await;
    assert!(!named_wrongly.status.success());
    assert!(String::from_utf8(named_wrongly.stderr).unwrap().contains("a-z"));
}
