//! Workers whose queue was replaced: they notice and log it.

use crate::support::{
    Person, broker, eventually, executable::Role, installation::Installation, log::Log, person::id,
};
use serde_json::json;

/// Waits until an order is on the board.
async fn until_stored(bartender: &Person, order: &serde_json::Value) {
    eventually("the order to be stored", async || {
        (bartender.sees(order).await.expect(200)["status"] == "pending").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_queue_was_deleted_and_declared_again_stores_orders_by_itself() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve_with(&[("QUEUE_SETTLE_SECONDS", "3")]).await;
    let work = bar.work().await;
    let bartender = bar.sign_in(&url, "employee@example.com").await;
    for _ in 0..5 {
        // A worker that got messages of the old queue takes those of the new one for the same.
        let mut before = Vec::new();
        for _ in 0..20 {
            before.push(bartender.order("Negroni").await);
        }
        for order in &before {
            until_stored(&bartender, order).await;
        }
        let ((), order) = tokio::join!(broker::replace_orders(&bar.prefix.name), bartender.order("Negroni"));
        let after = bartender.order("Negroni").await;
        // What was in the deleted queue is published again.
        until_stored(&bartender, &order).await;
        until_stored(&bartender, &after).await;
        assert_ne!(id(&order), id(&after));
    }
    work.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_with_other_arguments_is_logged_once_and_taken_from_once_it_is_right() {
    let (bar, log) = (Installation::new().await, Log::new());
    bar.prefix.until_up().await;
    broker::delete_queues(&bar.prefix.name, &["orders"]).await;
    broker::declare_wrong_orders(&bar.prefix.name).await;
    let settings = [("ADMIN_ADDR", "127.0.0.1:0"), ("RUST_LOG", "shakerqueue=debug"), ("LOG_FORMAT", "json")];
    let environment = [bar.environment().as_slice(), &settings].concat();
    let mut work = Role::start_logging_to(log.file(), &["work"], &environment);
    let url = work.admin_url().await;
    let admin = Person::new(&bar.http, &url, None);

    let reason = "inequivalent arg 'x-delivery-limit'";
    let refusals = |level: &str| {
        let is_refusal = |line: &&str| line.contains(reason) && line.contains(level);
        log.text().lines().filter(is_refusal).count()
    };
    eventually("it to try again and again", async || (refusals("DEBUG") >= 6).then_some(())).await;
    assert_eq!(refusals("WARN"), 1, "{}", log.text());
    let others = log.objects().into_iter().filter(|line| line["level"] == "WARN" || line["level"] == "ERROR");
    assert_eq!(others.count(), 1, "{}", log.text());
    let ready = admin.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["parts"]["broker"]), (503, &json!("down")), "{}", ready.body);

    broker::delete_queues(&bar.prefix.name, &["orders"]).await;
    eventually("it to take orders", async || (admin.get("/readyz").await.status == 200).then_some(())).await;
    work.stop().await;
    bar.prefix.clear().await;
}
