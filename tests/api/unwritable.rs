//! A database that answers but can't be written to, because its disk is full or it is a standby.

use crate::support::{
    Bar, Person, PostgreSql,
    bar::SECRET,
    database::Database,
    eventually,
    executable::{Role, serve_settings, shakerqueue},
    installation::Installation,
};
use reqwest::Client;
use serde_json::{Value, json};
use std::process::Command;

/// Waits until `/readyz` has this state of the database, and returns the answer.
async fn database_reads(asker: &Person, state: &str, status: u16) -> Value {
    eventually("the database's state to be told", async || {
        let ready = asker.get("/readyz").await;
        (ready.status == status && ready.body["parts"]["database"] == state).then_some(ready.body)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serve_whose_database_became_a_standby_is_not_ready() {
    let bar = Bar::open(PostgreSql).await;
    let guest = bar.guest().await;
    let place = async || guest.post("/orders", json!({ "recipe": "Negroni" })).await;
    place().await.expect(201);
    bar.database.make_read_only(true).await;
    // Nobody knows before something was to be kept.
    eventually("the order to be refused", async || (place().await.status == 503).then_some(())).await;
    let ready = database_reads(&bar.stranger(), "read-only", 503).await;
    assert_eq!(ready["status"], "unavailable");
    assert_eq!(
        (&ready["missing"][0]["part"], &ready["missing"][0]["fails"][0]),
        (&json!("database"), &json!("taking orders"))
    );
    guest.get("/orders").await.expect(200);
    place().await.expect_problem(503, "unavailable");

    bar.database.make_read_only(false).await;
    // It finds out by itself.
    let ready = database_reads(&bar.stranger(), "up", 200).await;
    assert_eq!((&ready["status"], &ready["missing"]), (&json!("ready"), &Value::Null));
    place().await.expect(201);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_menu_and_accounts_is_told_of_as_well() {
    let database = Database::new(PostgreSql).await;
    let environment = serve_settings(&database.url, &[("JWT_SECRET", SECRET)]);
    let mut serve = Role::start(&["serve"], &environment);
    let stranger = Person::new(&Client::new(), &serve.url().await, None);
    database.make_read_only(true).await;
    let account = json!({ "username": "A", "email": "a@bar.example", "password": "seven green limes" });
    eventually("the account to be refused", async || {
        (stranger.post("/register", account.clone()).await.status == 503).then_some(())
    })
    .await;
    database_reads(&stranger, "read-only", 503).await;
    database.make_read_only(false).await;
    database_reads(&stranger, "up", 200).await;
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_broker_orders_are_taken_and_the_workers_are_not_ready() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let mut work =
        Role::start(&["work"], &[&bar.environment()[..], &[("ADMIN_ADDR", "127.0.0.1:0")]].concat());
    let worker = Person::new(&bar.http, &work.admin_url().await, None);
    database_reads(&worker, "up", 200).await;
    let guest = bar.sign_in(&url, "user@example.com").await;

    bar.database.make_read_only(true).await;
    let order = guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    let ready = database_reads(&worker, "read-only", 503).await;
    assert_eq!(ready["missing"][0]["fails"], json!(["storing orders"]));
    // What is to be kept by the database itself.
    let login = json!({ "email": "user@example.com", "password": "password123" });
    eventually("nobody to get in", async || {
        (guest.post("/login", login.clone()).await.status == 503).then_some(())
    })
    .await;
    let ready = database_reads(&guest, "read-only", 200).await;
    assert_eq!(ready["status"], "ready", "orders are safe at the broker");
    assert_eq!(ready["missing"][0]["fails"], json!(["working orders", "signing in and managing"]));
    guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);

    bar.database.make_read_only(false).await;
    database_reads(&worker, "up", 200).await;
    database_reads(&guest, "up", 200).await;
    eventually("the order to be stored", async || {
        (guest.sees(&order).await.expect(200)["status"] == "pending").then_some(())
    })
    .await;
    work.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}

/// Starts a `serve` on SQLite that ignores SIGXFSZ, so that a limit on the size of files acts as a full disk. The limit
/// holds for root, too.
#[cfg(target_os = "linux")]
fn serve_that_bears_a_full_disk(environment: &[(&str, &str)]) -> Role {
    let serve = shakerqueue(&["serve", "--demo"], environment);
    let mut command = tokio::process::Command::new("sh");
    // What the system would end it with is ignored: each write then fails by itself.
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(serve.as_std().get_program());
    command.args(serve.as_std().get_args()).env_clear();
    command.envs(serve.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).kill_on_drop(true);
    Role::of(command)
}

#[cfg(target_os = "linux")]
fn limit_files(role: &Role, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let set = Command::new("prlimit").args(["--pid", &role.pid().to_string(), &limit]).status();
    assert!(set.expect("prlimit").success());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serve_whose_disk_is_full_is_not_ready() {
    let database = Database::file();
    let environment = serve_settings(&database.url, &[]);
    let mut serve = serve_that_bears_a_full_disk(&environment);
    let stranger = Person::new(&Client::new(), &serve.url().await, None);
    let guest = stranger.sign_in("user@example.com").await;
    let place = async || guest.post("/orders", json!({ "recipe": "Negroni" })).await;
    place().await.expect(201);

    limit_files(&serve, "0");
    assert_eq!(place().await.status, 503);
    let ready = database_reads(&stranger, "read-only", 503).await;
    assert_eq!(ready["missing"][0]["fails"][0], "taking orders");
    let metrics = stranger.get("/metrics").await.text;
    assert!(metrics.contains("\nshakerqueue_database_read_only 1\n"), "{metrics}");
    guest.get("/orders").await.expect(200);

    limit_files(&serve, "unlimited");
    database_reads(&stranger, "up", 200).await;
    place().await.expect(201);
    eventually("the metric to follow", async || {
        stranger.get("/metrics").await.text.contains("\nshakerqueue_database_read_only 0\n").then_some(())
    })
    .await;
    serve.stop().await;
}
