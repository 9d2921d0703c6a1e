//! Stopping and losing parts: accepted orders are kept.

use crate::support::{
    Bar, Person, PostgreSql,
    broker::{self, Prefix},
    database::Database,
    eventually,
    executable::{Role, serve_settings},
    person::{id, send},
    proxy::Proxy,
};
use reqwest::Client;
use serde_json::json;
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

/// Places orders until the bar no longer answers, and returns the ids of those accepted.
async fn order_until_closed(guest: Person) -> HashSet<String> {
    let mut promised = HashSet::new();
    loop {
        let order = guest.request(reqwest::Method::POST, "/orders").json(&json!({ "recipe": "Negroni" }));
        match order.send().await {
            Ok(response) if response.status().is_success() => {
                let order: serde_json::Value = response.json().await.expect("a whole answer");
                promised.insert(id(&order).to_owned());
            }
            Ok(response) => panic!("answered {}", response.status()),
            // Refused, or the connection was closed before an answer: nothing was promised.
            Err(_) => return promised,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serve_that_is_told_to_stop_keeps_what_it_promised() {
    let database = Database::file();
    let environment = serve_settings(&database.url, &[("SHUTDOWN_DELAY_SECONDS", "1")]);
    let mut serve = Role::start(&["serve", "--demo"], &environment);
    let url = serve.url().await;
    let http = Client::new();
    let guest = Person::new(&http, &url, None).sign_in("user@example.com").await;
    guest.order("Negroni").await;

    let guests: Vec<_> = (0..8).map(|_| tokio::spawn(order_until_closed(guest.clone()))).collect();
    // Under load: some hundred orders are in before it stops.
    eventually("orders to come in", async || {
        let orders = guest.get("/orders?limit=100").await.expect(200);
        (orders["orders"].as_array().unwrap().len() == 100).then_some(())
    })
    .await;
    serve.stop().await;
    let mut promised = HashSet::new();
    for guest in guests {
        promised.extend(guest.await.unwrap());
    }

    let bar = Bar::open_on(database, &[]).await;
    let bartender = bar.employee().await;
    assert!(promised.len() >= 100, "{} orders", promised.len());
    for order in promised {
        bartender.get(&format!("/orders/{order}")).await.expect(200);
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_recorded_directly_while_the_broker_is_away() {
    let prefix = Prefix::new();
    let (proxy, broker) = Proxy::before(&broker::url()).await;
    let flags = ["--amqp-url", broker.as_str(), "--queue-prefix", &prefix.name];
    let bar = Bar::open_on(Database::new(PostgreSql).await, &flags).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let becomes = async |status: &'static str| {
        eventually("the broker to come or go", async || {
            let ready = bar.stranger().get("/readyz").await;
            assert_eq!(ready.status, 200, "orders can be taken all the time: {}", ready.body);
            (ready.body["parts"]["broker"] == status).then_some(())
        })
        .await;
    };
    let place = async || guest.post("/orders", json!({ "recipe": "Negroni" })).await;

    becomes("up").await;
    let queued = place().await.expect(202);
    assert_eq!(bartender.sees(&queued).await.expect(200)["status"], "queued");

    proxy.cut();
    becomes("down").await;
    let missing = &bar.stranger().get("/readyz").await.body["missing"];
    assert_eq!((&missing[0]["part"], &missing[0]["fails"]), (&json!("broker"), &json!([])));
    assert_eq!(missing[0]["works"][0], "taking orders, which are stored directly (201)");
    let stored = place().await.expect(201);
    assert_eq!(bartender.sees(&stored).await.expect(200)["status"], "pending");

    proxy.restore();
    becomes("up").await;
    place().await.expect(202);
    assert_eq!(prefix.waiting().await, 2, "what the broker confirmed waits for a worker");

    bar.close().await;
    prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_can_be_taken_when_neither_part_is_up() {
    let database = Database::new(PostgreSql).await;
    let bar = Bar::open_on(database, &["--amqp-url", "amqp://guest:guest@127.0.0.1:9/%2f"]).await;
    let guest = bar.guest().await;
    guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(201);
    bar.database.take_down().await;
    let answer = guest.post("/orders", json!({ "recipe": "Negroni" })).await;
    assert!(answer.header("retry-after").is_some());
    answer.expect_problem(503, "unavailable");
    guest.get("/orders").await.expect_problem(503, "unavailable");
    let ready = bar.stranger().get("/readyz").await;
    assert_eq!(
        (ready.status, &ready.body["parts"]),
        (503, &json!({ "database": "down", "broker": "down", "http": "up" }))
    );
    let missing = ready.body["missing"].as_array().expect("what is missing");
    for (missing, part) in missing.iter().zip(["database", "broker"]) {
        assert_eq!((&missing["part"], &missing["fails"][0]), (&json!(part), &json!("taking orders")));
        assert_eq!(missing["works"][0], "reading the menu");
    }
    bar.stranger().get("/recipes").await.expect(200);
    bar.stranger().get("/healthz").await.expect(200);

    bar.database.bring_back().await;
    eventually("orders to be taken again", async || {
        (guest.post("/orders", json!({ "recipe": "Negroni" })).await.status == 201).then_some(())
    })
    .await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_an_order_to_be_stored_is_answered_when_the_bar_closes() {
    let prefix = Prefix::new();
    let flags = ["--amqp-url", &broker::url(), "--queue-prefix", &prefix.name];
    let bar = Bar::open_on(Database::new(PostgreSql).await, &flags).await;
    let guest = bar.guest().await;
    let up = async || (bar.stranger().get("/readyz").await.body["parts"]["broker"] == "up").then_some(());
    eventually("the broker to be up", up).await;
    // No worker comes.
    let order = guest.request(reqwest::Method::POST, "/orders").header("Prefer", "wait=30");
    let waiting = tokio::spawn(send(order.json(&json!({ "recipe": "Negroni" }))));
    eventually("the order to be at the broker", async || (prefix.waiting().await == 1).then_some(())).await;
    bar.close().await;
    assert_eq!(waiting.await.unwrap().expect(202)["status"], "queued");
    prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_is_not_waited_for() {
    let database = Database::new(PostgreSql).await;
    let (line, url) = Proxy::before(&database.url).await;
    let bar = Bar::open_on(Database::at(url), &[]).await;
    let bartender = bar.employee().await;
    line.hold_answers();
    let place = || bartender.post("/orders", json!({ "recipe": "Negroni" }));
    let (placed, read) = tokio::join!(place(), bartender.get("/orders"));
    // Its transaction did not begin, and never will.
    placed.expect_problem(503, "unavailable");
    assert!(read.header("retry-after").is_some());
    read.expect_problem(503, "unavailable");
    // Known to be away: who asks now is answered at once. (It takes 6 s for a statement to be given up.)
    let asked = Instant::now();
    place().await.expect_problem(503, "unavailable");
    bartender.get("/orders").await.expect_problem(503, "unavailable");
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());

    line.restore();
    eventually("the database to be back", async || (place().await.status == 201).then_some(())).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_falls_before_the_bar_closes() {
    let bar = Bar::open_on(Database::file(), &["--shutdown-delay-seconds", "3"]).await;
    let guest = bar.guest().await;
    let url = bar.url.clone();
    let closing = tokio::spawn(bar.close());
    let stranger = Person::new(&Client::new(), &url, None);
    eventually("it to be no longer ready", async || {
        let ready = stranger.get("/readyz").await;
        (ready.status == 503 && ready.body["status"] == "stopping").then_some(())
    })
    .await;
    let answer = guest.post("/orders", json!({ "recipe": "Negroni" })).await;
    assert_eq!(answer.header("connection"), Some("close"), "the client is told to go elsewhere");
    answer.expect(201);
    closing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    let database = Database::file();
    let environment =
        serve_settings(&database.url, &[("SHUTDOWN_DELAY_SECONDS", "300"), ("SHUTDOWN_SECONDS", "600")]);
    let mut serve = Role::start(&["serve"], &environment);
    let url = serve.url().await;
    serve.terminate();
    let stranger = Person::new(&Client::new(), &url, None);
    eventually("the first signal to count", async || {
        (stranger.get("/readyz").await.status == 503).then_some(())
    })
    .await;
    serve.terminate();
    assert_eq!(serve.ended().await.code(), Some(130));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_can_not_be_written_stops_nothing() {
    let database = Database::file();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device that is full");
    let environment = serve_settings(&database.url, &[("RUST_LOG", "trace")]);
    let mut serve = Role::start_logging_to(full.into(), &["serve", "--demo"], &environment);
    let url = serve.url().await;
    let http = Client::new();
    let guest = Person::new(&http, &url, None).sign_in("user@example.com").await;
    guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(201);
    serve.stop().await;
}
