//! Orders, logins and transitions are counted once each, by their outcome.

use super::{Scrape, becomes};
use crate::support::{
    Person,
    database::{Database, FAULT_TRIGGER},
    executable::{Role, serve_settings},
    installation::Installation,
    person::{id, send},
};
use reqwest::Method;
use serde_json::json;

#[track_caller]
fn expect(scrape: &Scrape, expected: &[(&str, f64)]) {
    for (series, value) in expected {
        let is = scrape.get(series);
        assert!((is - value).abs() < f64::EPSILON, "{series} is {is}, not {value}");
    }
}

/// Places four orders, one of them twice, one that can't be recorded, and two that are refused.
async fn place_orders(guest: &Person) {
    for _ in 0..3 {
        guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    }
    // The same order twice: the second is a duplicate wherever it gets to.
    for _ in 0..2 {
        let order =
            guest.request(Method::POST, "/orders").header("Idempotency-Key", "one-and-the-same-order");
        send(order.json(&json!({ "recipe": "Negroni" }))).await.expect(202);
    }
    guest.post("/orders", json!({ "recipe": "Negroni", "note": "poison" })).await.expect(202);
    guest.post("/orders", json!({ "recipe": "Nothing" })).await.expect(422);
    let other = "00000000-0000-4000-8000-000000000000";
    guest.post("/orders", json!({ "recipe": "Negroni", "customer_id": other })).await.expect(403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_counted_where_they_pass() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let mut work =
        Role::start(&["work"], &[&bar.environment()[..], &[("ADMIN_ADDR", "127.0.0.1:0")]].concat());
    let admin = work.admin_url().await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    bar.database.client().await.batch_execute(FAULT_TRIGGER).await.unwrap();

    place_orders(&guest).await;
    becomes(&admin, "shakerqueue_dead_letters_created_total", 1.0).await;
    expect(
        &Scrape::of(&url).await,
        &[
            (r#"shakerqueue_orders_accepted_total{kept_by="broker"}"#, 6.0),
            (r#"shakerqueue_orders_accepted_total{kept_by="database"}"#, 0.0),
            (r#"shakerqueue_orders_refused_total{reason="invalid"}"#, 1.0),
            (r#"shakerqueue_orders_refused_total{reason="not_permitted"}"#, 1.0),
            (r#"shakerqueue_broker_publishes_total{outcome="confirmed"}"#, 6.0),
            (r#"shakerqueue_broker_connected{purpose="publishing"}"#, 1.0),
            (r#"shakerqueue_broker_connections_opened_total{purpose="publishing"}"#, 1.0),
            (
                r#"http_server_request_duration_seconds_count{http_request_method="POST",http_response_status_code="202",http_route="/orders"}"#,
                6.0,
            ),
        ],
    );
    // The probes of the durability check, one each second, count as well until they are confirmed.
    becomes(&url, "shakerqueue_broker_unconfirmed_messages", 0.0).await;
    let worked = Scrape::of(&admin).await;
    expect(
        &worked,
        &[
            (r#"shakerqueue_recorder_orders_total{outcome="recorded"}"#, 4.0),
            (r#"shakerqueue_recorder_orders_total{outcome="duplicate"}"#, 1.0),
            ("shakerqueue_recorder_delay_seconds_count", 4.0),
            // Once, and again after each of two pauses.
            ("shakerqueue_orders_postponed_total", 2.0),
            (r#"shakerqueue_worker_deliveries_total{redelivered="false"}"#, 8.0),
            (r#"shakerqueue_worker_deliveries_total{redelivered="true"}"#, 0.0),
            (r#"shakerqueue_broker_publishes_total{outcome="confirmed"}"#, 2.0),
        ],
    );
    // How many come together is chance.
    assert!(worked.get("shakerqueue_recorder_batch_orders_count") >= 1.0);
    assert!(worked.get("shakerqueue_recorder_batch_orders_sum") >= 5.0, "without the one that was not kept");
    assert!(worked.get("shakerqueue_recorder_batch_duration_seconds_sum") > 0.0);
    becomes(&url, "shakerqueue_dead_letters_open", 1.0).await;

    work.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_night_without_a_broker_is_counted_too() {
    let database = Database::file();
    let environment = serve_settings(&database.url, &[]);
    let mut serve = Role::start(&["serve", "--demo"], &environment);
    let url = serve.url().await;
    let http = reqwest::Client::new();
    let stranger = Person::new(&http, &url, None);
    let login = async |email: &str, password: &str| {
        stranger.post("/login", json!({ "email": email, "password": password })).await
    };
    let token = login("employee@example.com", "password123").await.expect(200);
    let bartender = Person::new(&http, &url, token["token"].as_str());
    login("employee@example.com", "something else").await.expect(401);
    login("nobody@example.com", "something else").await.expect(401);

    let made = bartender.post("/orders", json!({ "recipe": "Negroni" })).await.expect(201);
    bartender.post("/orders", json!({ "recipe": "Margarita" })).await.expect(201);
    bartender.ask("/orders/next").await.expect(200);
    bartender.ask("/orders/next").await.expect(200);
    bartender.ask("/orders/next").await.expect(204);
    for action in ["ready", "undo", "ready", "complete"] {
        bartender.ask(&format!("/orders/{}/{action}", id(&made))).await.expect(200);
    }
    bartender.ask(&format!("/orders/{}/ready", id(&made))).await.expect(409);

    let scrape = Scrape::of(&url).await;
    expect(
        &scrape,
        &[
            (r#"shakerqueue_orders_accepted_total{kept_by="database"}"#, 2.0),
            (r#"shakerqueue_recorder_orders_total{outcome="recorded"}"#, 2.0),
            (r#"shakerqueue_order_moves_total{to="in_progress"}"#, 3.0),
            (r#"shakerqueue_order_moves_total{to="ready"}"#, 2.0),
            (r#"shakerqueue_order_moves_total{to="completed"}"#, 1.0),
            (r#"shakerqueue_order_moves_total{to="pending"}"#, 0.0),
            (r#"shakerqueue_logins_total{outcome="succeeded"}"#, 1.0),
            (r#"shakerqueue_logins_total{outcome="wrong_password"}"#, 2.0),
            (r#"shakerqueue_orders{status="in_progress"}"#, 1.0),
            (r#"shakerqueue_orders{status="ready"}"#, 0.0),
            ("shakerqueue_orders_oldest_waiting_seconds", 0.0),
            (r#"shakerqueue_part_up{part="database"}"#, 1.0),
            (
                r#"http_server_request_duration_seconds_count{http_request_method="POST",http_response_status_code="200",http_route="/orders/{id}/{move}"}"#,
                4.0,
            ),
        ],
    );
    assert!(scrape.get(r#"shakerqueue_orders_oldest_age_seconds{status="in_progress"}"#) > 0.0);
    let build = format!(
        r#"shakerqueue_build_info{{deployment="embedded",revision="unknown",role="serve",version="{}"}}"#,
        env!("CARGO_PKG_VERSION")
    );
    expect(&scrape, &[(&build, 1.0)]);
    serve.stop().await;
}
