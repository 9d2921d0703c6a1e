//! Gauges that query the database and the broker at scrape time.

use super::{Scrape, becomes};
use crate::support::{eventually, executable::Role, installation::Installation};
use serde_json::json;

const QUEUE_MESSAGES: &str = r#"shakerqueue_queue_messages{queue="orders"}"#;
const QUEUE_CONSUMERS: &str = r#"shakerqueue_queue_consumers{queue="orders"}"#;
const PENDING_ORDERS: &str = r#"shakerqueue_orders{status="pending"}"#;
const OLDEST_WAITING_SECONDS: &str = "shakerqueue_orders_oldest_waiting_seconds";
const DATABASE_UP: &str = r#"shakerqueue_part_up{part="database"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_wait_for_a_worker_are_seen_and_how_long() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    becomes(&url, OLDEST_WAITING_SECONDS, 0.0).await;
    for _ in 0..3 {
        guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    }
    becomes(&url, QUEUE_MESSAGES, 3.0).await;
    becomes(&url, QUEUE_CONSUMERS, 0.0).await;
    becomes(&url, PENDING_ORDERS, 0.0).await;
    let first = Scrape::of(&url).await.get(OLDEST_WAITING_SECONDS);
    assert!(first > 0.0);
    eventually("it to grow older", async || {
        (Scrape::of(&url).await.get(OLDEST_WAITING_SECONDS) > first + 0.5).then_some(())
    })
    .await;

    let work = bar.work().await;
    becomes(&url, QUEUE_MESSAGES, 0.0).await;
    becomes(&url, QUEUE_CONSUMERS, 1.0).await;
    becomes(&url, PENDING_ORDERS, 3.0).await;
    becomes(&url, OLDEST_WAITING_SECONDS, 0.0).await;
    work.stop().await;
    becomes(&url, QUEUE_CONSUMERS, 0.0).await;
    serve.stop().await;
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_asked_is_not_a_number_and_what_waits_is_still_known() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let mut work =
        Role::start(&["work"], &[&bar.environment()[..], &[("ADMIN_ADDR", "127.0.0.1:0")]].concat());
    let admin = work.admin_url().await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    bar.database.take_down().await;
    for url in [&url, &admin] {
        becomes(url, DATABASE_UP, 0.0).await;
        becomes(url, PENDING_ORDERS, f64::NAN).await;
        becomes(url, "shakerqueue_dead_letters_open", f64::NAN).await;
        assert!(Scrape::of(url).await.get(QUEUE_MESSAGES) >= 0.0);
    }
    guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    eventually("the order to wait", async || {
        (Scrape::of(&url).await.get(OLDEST_WAITING_SECONDS) > 0.5).then_some(())
    })
    .await;
    bar.database.bring_back().await;
    for url in [&url, &admin] {
        becomes(url, DATABASE_UP, 1.0).await;
        becomes(url, PENDING_ORDERS, 1.0).await;
    }
    becomes(&url, OLDEST_WAITING_SECONDS, 0.0).await;
    work.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}
