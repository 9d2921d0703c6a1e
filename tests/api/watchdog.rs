//! A stalled HTTP thread is reported, and ends the process if it stays stalled.

use crate::support::{
    Bar, Person,
    database::Database,
    eventually,
    executable::{Role, serve_settings},
    log::Log,
};
use reqwest::{Client, Method};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::{task::JoinHandle, time::sleep};

/// Longer than any of these tests takes.
const BLOCK_SECONDS: u64 = 120;

/// A `serve` with two threads, and a route that blocks one.
struct WatchedServe {
    role: Role,
    url: String,
    admin: Person,
    log: Log,
    _database: Database,
}

impl WatchedServe {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let (log, database) = (Log::new(), Database::file());
        let threads = [("HTTP_THREADS", "2"), ("SHAKERQUEUE_FAULT_BLOCKING_ROUTE", "1")];
        let more = [&[("ADMIN_ADDR", "127.0.0.1:0")], &threads[..], settings].concat();
        let settings = serve_settings(&database.url, &more);
        let mut role = Role::start_logging_to(log.file(), &["serve"], &settings);
        let admin = Person::new(&Client::new(), &role.admin_url().await, None);
        let url = role.url().await;
        Self { role, url, admin, log, _database: database }
    }

    fn block(&self, seconds: u64) -> JoinHandle<()> {
        let request = Client::new().post(format!("{}/fault/block/{seconds}", self.url));
        // It gets no answer from a process that ends.
        tokio::spawn(async move { drop(request.send().await) })
    }

    /// Waits until the admin server reports a stalled thread.
    async fn is_told_of(&self) {
        eventually("the stalled thread to be told of", async || {
            let ready = self.admin.get("/readyz").await;
            (ready.body["parts"]["http"] == "stalled").then(|| {
                assert_eq!((ready.status, &ready.body["status"]), (503, &json!("unavailable")));
                assert_eq!(ready.body["missing"][0]["part"], "http", "{}", ready.body);
            })
        })
        .await;
    }

    /// Sends requests, each on a connection of its own, until one reaches the thread that runs. Returns its status.
    async fn still_answers(&self, path: &str) -> u16 {
        eventually("the other thread to answer", async || {
            let request = Client::new().request(Method::GET, format!("{}{path}", self.url));
            let answer = request.timeout(Duration::from_millis(500)).send().await;
            answer.ok().map(|answer| answer.status().as_u16())
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_stays_blocked_is_told_of_and_ends_the_process() {
    let serve = WatchedServe::start(&[("SHAKERQUEUE_FAULT_STALL_EXIT_SECONDS", "20")]).await;
    let blocked = serve.block(BLOCK_SECONDS);
    serve.is_told_of().await;
    assert_eq!(serve.still_answers("/healthz").await, 200);
    assert_eq!(serve.still_answers("/readyz").await, 503, "told there as well");
    let metrics = serve.admin.get("/metrics").await.text;
    assert!(metrics.contains("\nshakerqueue_http_threads_stalled 1\n"), "{metrics}");
    let WatchedServe { role, log, .. } = serve;
    assert_eq!(role.ended().await.code(), Some(1));
    let log = log.text();
    assert!(log.contains("an HTTP thread does not run"), "{log}");
    assert!(log.contains("shakerqueue: an HTTP thread has not run for 20 s"), "{log}");
    blocked.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_runs_again_is_as_good_as_new() {
    let serve = WatchedServe::start(&[]).await;
    let blocked = serve.block(15);
    serve.is_told_of().await;
    blocked.await.unwrap();
    eventually("it to be ready again", async || {
        let ready = serve.admin.get("/readyz").await;
        (ready.status == 200 && ready.body["parts"]["http"] == "up").then_some(())
    })
    .await;
    let metrics = serve.admin.get("/metrics").await.text;
    assert!(metrics.contains("\nshakerqueue_http_threads_stalled 0\n"), "{metrics}");
    let WatchedServe { role, log, .. } = serve;
    role.stop().await;
    let log = log.text();
    // The other thread may have waited for a processor as well, on a busy machine: each that stalls runs again.
    let lines = ["an HTTP thread does not run", "the HTTP thread runs again"];
    let [stalled, again] = lines.map(|line| log.matches(line).count());
    assert!((1..=2).contains(&stalled) && stalled == again, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_in_which_the_whole_process_was_paused_does_not_count() {
    let serve = WatchedServe::start(&[("SHAKERQUEUE_FAULT_STALL_EXIT_SECONDS", "10")]).await;
    let _blocked = serve.block(BLOCK_SECONDS);
    serve.is_told_of().await;
    serve.role.signal("STOP");
    // Longer than a thread may be stalled, which is what this is about.
    sleep(Duration::from_secs(11)).await;
    serve.role.signal("CONT");
    // Some looks later it still goes on.
    sleep(Duration::from_secs(1)).await;
    serve.is_told_of().await;
    assert_eq!(serve.role.ended().await.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_with_a_blocked_thread_stops_within_its_bound() {
    let serve = WatchedServe::start(&[("SHUTDOWN_SECONDS", "3")]).await;
    let _blocked = serve.block(BLOCK_SECONDS);
    serve.is_told_of().await;
    let asked = Instant::now();
    serve.role.terminate();
    let WatchedServe { role, log, .. } = serve;
    assert_eq!(role.ended().await.code(), Some(1));
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    assert!(log.text().contains("not everything was finished within 3 s"), "{}", log.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_can_block_a_thread_unless_a_test_asked_for_it() {
    let bar = Bar::open_on(Database::file(), &[]).await;
    bar.stranger().post("/fault/block/1", json!({})).await.expect_problem(404, "not-found");
    bar.close().await;
}
