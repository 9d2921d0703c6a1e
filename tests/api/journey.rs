//! The whole way of an order with real servers and processes: HTTP, RabbitMQ, workers, PostgreSQL, HTTP.

use crate::support::{
    Person,
    bar::SECRET,
    eventually,
    installation::Installation,
    person::{id, send},
};
use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use shakerqueue::{
    domain::{
        account::{Email, Role},
        ids::SessionId,
        text::Username,
    },
    services::accounts::{Tokens, new_user},
};
use std::{collections::HashSet, sync::Mutex};
use uuid::Uuid;

const CUSTOMERS: usize = 20;
const ORDERS: usize = 200;
const BARTENDERS: usize = 5;

/// Registers customers at each `serve` in turn.
async fn customers(bar: &Installation, urls: [&str; 2]) -> Vec<Person> {
    let mut customers = Vec::new();
    for number in 0..CUSTOMERS {
        let name = format!("customer{number}");
        let account = json!({ "username": name, "email": format!("{name}@example.com"), "password": "a good password" });
        let stranger = Person::new(&bar.http, urls[number % 2], None);
        let answer = stranger.post("/register", account).await.expect(201);
        customers.push(stranger.signed_in(answer["token"].as_str().expect("a token")));
    }
    customers
}

/// Places all orders at once and returns their ids.
async fn place_orders(customers: &[Person], urls: [&str; 2]) -> HashSet<String> {
    let placing: Vec<_> = (0..ORDERS)
        .map(|number| {
            let customer = customers[number % CUSTOMERS].at(urls[number % 2]);
            let drink = ["Margarita", "Negroni", "Mojito", "Americano"][number % 4];
            tokio::spawn(async move { customer.post("/orders", json!({ "recipe": drink })).await })
        })
        .collect();
    let mut accepted = HashSet::new();
    for answer in placing {
        let answer = answer.await.unwrap();
        assert_eq!(answer.header("location"), Some(format!("/orders/{}", id(&answer.body)).as_str()));
        let order = answer.expect(202);
        assert_eq!(order["status"], "queued");
        accepted.insert(id(&order).to_owned());
    }
    accepted
}

/// Makes all orders, by several bartenders at once, and returns their ids.
async fn make_orders(bar: &Installation, urls: [&str; 2]) -> Vec<String> {
    let mut bartenders = Vec::new();
    for number in 0..BARTENDERS {
        bartenders.push(bar.sign_in(urls[number % 2], "employee@example.com").await);
    }
    let made = Mutex::new(Vec::new());
    let shifts = bartenders.iter().map(async |bartender| {
        eventually("all orders to be made", async || {
            while let Some(order) = bartender.claim().await {
                bartender.moves(&order, "ready").await.expect(200);
                made.lock().unwrap().push(id(&order).to_owned());
            }
            (made.lock().unwrap().len() >= ORDERS).then_some(())
        })
        .await;
    });
    join_all(shifts).await;
    made.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_accepted_order_is_made_exactly_once() {
    let bar = Installation::new().await;
    let ((first, first_url), (second, second_url)) = tokio::join!(bar.serve(), bar.serve());
    let workers = [bar.work().await, bar.work().await, bar.work().await];
    let urls = [first_url.as_str(), second_url.as_str()];

    let accepted = place_orders(&customers(&bar, urls).await, urls).await;
    assert_eq!(accepted.len(), ORDERS);
    let made = make_orders(&bar, urls).await;
    assert_eq!(made.len(), ORDERS, "none is claimed twice");
    assert_eq!(made.into_iter().collect::<HashSet<_>>(), accepted);

    for (count, rows) in [
        ("orders WHERE status = 'ready'", 200),
        ("orders", 200),
        ("order_lines", 200),
        ("order_moves", 600),
        ("dead_letters", 0),
    ] {
        assert_eq!(bar.database.count(count).await, rows, "{count}");
    }
    assert_eq!(bar.prefix.waiting().await, 0, "no work is left in the queue");

    for role in workers.into_iter().chain([first, second]) {
        role.stop().await;
    }
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_waits_in_the_queue_until_a_worker_comes() {
    let bar = Installation::new().await;
    let ((here, here_url), (there, there_url)) = tokio::join!(bar.serve(), bar.serve());
    let guest = bar.sign_in(&here_url, "user@example.com").await;
    let bartender = bar.sign_in(&there_url, "employee@example.com").await;
    let other = bar.sign_in(&there_url, "admin@example.com").await;
    let stranger = json!({ "username": "nosy", "email": "nosy@example.com", "password": "a good password" });
    let stranger = Person::new(&bar.http, &there_url, None).post("/register", stranger).await.expect(201);
    let stranger = Person::new(&bar.http, &there_url, stranger["token"].as_str());

    let order = guest.post("/orders", json!({ "recipe": "Margarita", "table": "7" })).await.expect(202);
    assert_eq!(guest.sees(&order).await.expect(200), order, "known as a whole where it was accepted");
    for person in [&guest.at(&there_url), &bartender, &other] {
        assert_eq!(person.sees(&order).await.expect(200)["status"], "queued", "known to be queued elsewhere");
    }
    let problem = guest.moves(&order, "cancel").await.expect_problem(409, "illegal-move");
    assert!(problem["detail"].as_str().unwrap().contains("queued"), "{problem}");
    stranger.sees(&order).await.expect_problem(404, "not-found");
    stranger.at(&here_url).sees(&order).await.expect_problem(404, "not-found");
    let made_up = json!({ "id": Uuid::now_v7().to_string() });
    bartender.sees(&made_up).await.expect_problem(404, "not-found");
    assert!(bartender.claim().await.is_none());

    let path = format!("/orders/{}", id(&order));
    let waiting = tokio::spawn({
        let guest = guest.at(&there_url);
        async move { send(guest.request(Method::GET, &path).header("Prefer", "wait=25")).await }
    });
    let worker = bar.work().await;
    let stored = waiting.await.unwrap().expect(200);
    assert_eq!((&stored["status"], &stored["table"]), (&json!("pending"), &json!("7")));

    let waited = guest
        .request(Method::POST, "/orders")
        .header("Prefer", "respond-async, wait=25")
        .json(&json!({ "recipe": "Negroni" }));
    let waited = send(waited).await;
    assert_eq!(waited.header("preference-applied"), Some("wait=25"));
    assert_eq!(waited.expect(201)["status"], "pending");

    for role in [here, there, worker] {
        role.stop().await;
    }
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_never_be_stored_is_kept_and_holds_nothing_back() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    let rubbish = Uuid::new_v4();
    bar.prefix.publish(rubbish, b"{\"version\":1,\"order\":\"rubbish\"}").await;
    let order = guest.post("/orders", json!({ "recipe": "Margarita" })).await.expect(202);

    // A customer that this database does not know: a token signed with the same secret elsewhere.
    let nobody = Person::new(&bar.http, &url, Some(&token_of_nobody()));
    let lost = nobody.post("/orders", json!({ "recipe": "Margarita" })).await.expect(202);

    let worker = bar.work().await;
    let bartender = bar.sign_in(&url, "employee@example.com").await;
    let stored = eventually("the order to be stored", async || {
        let seen = bartender.sees(&order).await.expect(200);
        (seen["status"] == "pending").then_some(seen)
    })
    .await;
    assert_eq!(id(&stored), id(&order));
    let client = bar.database.client().await;
    let letters = eventually("two dead letters", async || {
        let rows = client
            .query("SELECT order_id::text, reason FROM dead_letters ORDER BY reason", &[])
            .await
            .unwrap();
        (rows.len() == 2).then_some(rows)
    })
    .await;
    let letters: Vec<(String, String)> = letters.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(letters[0].0, id(&lost));
    assert_eq!(bartender.sees(&lost).await.expect(200)["status"], "failed", "nobody waits for it in vain");
    assert!(letters[0].1.contains("customer"), "{}", letters[0].1);
    assert_eq!(letters[1].0, rubbish.to_string());
    assert!(letters[1].1.contains("not an order"), "{}", letters[1].1);

    worker.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}

fn token_of_nobody() -> String {
    let email = Email::try_from("nobody@example.com").unwrap();
    let nobody = new_user(Username::try_from("nobody").unwrap(), email, Role::Customer);
    Tokens::new(&SECRET.into(), &[], TimeDelta::minutes(10)).issue(&nobody, SessionId::new_v7()).text
}
