//! Limits on the open orders of a guest, and the orders of deactivated accounts.

mod cancelling;
mod deactivation;
mod several;

use crate::support::{
    Bar, DatabaseKind, Person, PostgreSql, Sqlite,
    bar::SECRET,
    database::Database,
    eventually,
    person::{Answer, id, send},
};
use chrono::TimeDelta;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use shakerqueue::{
    domain::{
        account::{Email, Role, User},
        ids::{SessionId, UserId},
        now,
        text::Username,
    },
    services::accounts::{Tokens, new_user},
    store::users,
};
use uuid::{Builder, Uuid};

/// A bar with these limits.
async fn limited(kind: DatabaseKind, flags: &[&str]) -> Bar {
    Bar::open_on(Database::new(kind).await, &[&["--open-orders", "10"], flags].concat()).await
}

/// A guest whose account is some hours old.
async fn regular(bar: &Bar) -> Person {
    bar.holder_of(&regular_token(&bar.database).await)
}

/// Adds an account with this age, and returns a token of it.
async fn regular_token(database: &Database) -> String {
    let made = now() - TimeDelta::hours(3);
    let (millis, random) = (u64::try_from(made.micros() / 1000).unwrap(), *Uuid::new_v4().as_bytes());
    let id = Builder::from_unix_timestamp_millis(millis, random.first_chunk().unwrap()).into_uuid();
    let email = Email::try_from(format!("{}@example.com", id.simple()).as_str()).unwrap();
    let new = new_user(Username::try_from("Ana").unwrap(), email, Role::Customer);
    let user = User { id: UserId(id), created_at: made, ..new };
    let token = Tokens::new(&SECRET.into(), &[], TimeDelta::minutes(60)).issue(&user, SessionId::new_v7());
    let store = database.store();
    store.write(async move |conn| users::add(conn, &user, "no hash").await).await.unwrap();
    store.close();
    token.text
}

async fn orders(guest: &Person, quantity: u32) -> Answer {
    guest.post("/orders", json!({ "recipe": "Negroni", "quantity": quantity })).await
}

async fn fills_up(guest: &Person) -> Vec<Value> {
    let mut placed = Vec::new();
    for _ in 0..10 {
        placed.push(guest.order("Negroni").await);
    }
    placed
}

/// Places orders until one is accepted again.
async fn orders_again(guest: &Person) -> Value {
    eventually("an order that is not too many", async || {
        let answer = orders(guest, 1).await;
        match answer.status {
            201 | 202 => Some(answer.body),
            _ => {
                answer.expect_problem(409, "too-many-open");
                None
            }
        }
    })
    .await
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_with_ten_open_orders_waits_until_one_is_ready(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = limited(database, &[]).await;
    let (guest, bartender) = (regular(&bar).await, bar.employee().await);
    let placed = fills_up(&guest).await;
    let problem = orders(&guest, 1).await.expect_problem(409, "too-many-open");
    assert!(problem["detail"].as_str().unwrap().contains("10 open orders"), "{problem}");
    // Somebody works on one: it is not ready.
    bartender.moves(&placed[0], "start").await.expect(200);
    for _ in 0..30 {
        orders(&guest, 1).await.expect_problem(409, "too-many-open");
    }
    bartender.moves(&placed[0], "ready").await.expect(200);
    orders_again(&guest).await;
    orders(&guest, 1).await.expect_problem(409, "too-many-open");
    guest.moves(&placed[1], "cancel").await.expect(200);
    orders_again(&guest).await;
    // Others are not concerned.
    regular(&bar).await.order("Negroni").await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_of_an_order_is_never_too_many(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = limited(database, &[]).await;
    let (guest, bartender) = (regular(&bar).await, bar.employee().await);
    let asked = json!({ "recipe": "Negroni" });
    let first = guest.post_once("first", "/orders", asked.clone()).await.expect(201);
    bartender.moves(&first, "start").await.expect(200);
    bartender.moves(&first, "ready").await.expect(200);
    // Only once the first one is forgotten here there is room for ten others.
    for _ in 0..10 {
        orders_again(&guest).await;
    }
    orders(&guest, 1).await.expect_problem(409, "too-many-open");
    let repeated = guest.post_once("first", "/orders", asked.clone()).await.expect(201);
    assert_eq!(id(&repeated), id(&first));
    guest
        .post_once("first", "/orders", json!({ "recipe": "Mojito" }))
        .await
        .expect_problem(422, "idempotency-key-reused");
    guest.post_once("another", "/orders", asked).await.expect_problem(409, "too-many-open");
    // Whoever may not order at all is told that first.
    let for_another = json!({ "recipe": "Negroni", "customer_id": Uuid::now_v7() });
    guest.post("/orders", for_another).await.expect_problem(403, "not-permitted");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_order_as_much_as_they_like(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = limited(database, &[]).await;
    let (guest, bartender) = (regular(&bar).await, bar.employee().await);
    let who = guest.get("/me").await.expect(200)["id"].clone();
    for _ in 0..12 {
        bartender.order("Negroni").await;
        bartender.post("/orders", json!({ "recipe": "Negroni", "customer_id": who })).await.expect(201);
    }
    // What they ordered for a guest is open, and the guest's.
    eventually("orders that are too many", async || (orders(&guest, 1).await.status == 409).then_some(()))
        .await;
    bartender.post("/orders", json!({ "recipe": "Negroni", "customer_id": who })).await.expect(201);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_account_has_less_open(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = limited(database, &[]).await;
    let bartender = bar.employee().await;
    let (few, large) = (bar.guest().await, bar.guest().await);
    let placed = [few.order("Negroni").await, few.order("Negroni").await, few.order("Negroni").await];
    let problem = orders(&few, 1).await.expect_problem(409, "too-many-open");
    assert!(problem["detail"].as_str().unwrap().contains("younger than an hour"), "{problem}");
    orders(&large, 20).await.expect(201);
    orders(&large, 1).await.expect_problem(409, "too-many-open");
    let party = json!({ "items": [{ "recipe": "Negroni", "quantity": 20 }, { "recipe": "Mojito" }] });
    bar.guest().await.post("/orders", party).await.expect_problem(409, "too-many-open");
    bartender.moves(&placed[0], "start").await.expect(200);
    bartender.moves(&placed[0], "ready").await.expect(200);
    orders_again(&few).await;
    orders(&few, 1).await.expect_problem(409, "too-many-open");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_accounts_at_one_address_do_not_help(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = limited(database, &[]).await;
    let mut drinks = 0;
    let mut guests = Vec::new();
    for _ in 0..8 {
        let guest = bar.guest().await;
        let answer = orders(&guest, 20).await;
        if answer.status == 201 {
            drinks += 20;
        } else {
            let problem = answer.expect_problem(409, "too-many-open");
            assert!(problem["detail"].as_str().unwrap().contains("address"), "{problem}");
        }
        guests.push(guest);
    }
    assert_eq!(drinks, 60);
    // Nor after the database was asked.
    for _ in 0..30 {
        orders(&guests[7], 1).await.expect_problem(409, "too-many-open");
    }
    // Those whose accounts are older have nothing to do with that.
    fills_up(&regular(&bar).await).await;
    let mut bartender = bar.employee().await.claim().await;
    while let Some(order) = bartender {
        bar.employee().await.moves(&order, "ready").await.expect(200);
        bartender = bar.employee().await.claim().await;
    }
    orders_again(&guests[7]).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_accounts_count_by_their_own_address_behind_a_proxy() {
    let bar = limited(Sqlite, &["--trusted-proxies", "127.0.0.1", "--new-accounts-drinks", "25"]).await;
    let from = async |guest: &Person, address: &str, quantity: u32| {
        let request = guest.request(Method::POST, "/orders").header("X-Forwarded-For", address);
        send(request.json(&json!({ "recipe": "Negroni", "quantity": quantity }))).await
    };
    let guests = [bar.guest().await, bar.guest().await, bar.guest().await];
    from(&guests[0], "192.0.2.1", 20).await.expect(201);
    from(&guests[1], "192.0.2.1", 6).await.expect_problem(409, "too-many-open");
    from(&guests[1], "192.0.2.2", 6).await.expect(201);
    from(&guests[2], "2001:db8::1", 20).await.expect(201);
    from(&guests[1], "2001:db8::2", 1).await.expect_problem(409, "too-many-open");
    from(&guests[1], "2001:db8:0:1::2", 1).await.expect(201);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_has_a_limit_of_drinks() {
    let items = |quantities: &[u32]| {
        let item = |quantity| json!({ "recipe": "Negroni", "quantity": quantity });
        json!({ "items": quantities.iter().map(item).collect::<Vec<_>>() })
    };
    let bar = limited(Sqlite, &[]).await;
    let guest = regular(&bar).await;
    guest.post("/orders", items(&[20; 5])).await.expect(201);
    let problem = guest.post("/orders", items(&[20, 20, 20, 20, 20, 1])).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "items");
    assert_eq!(problem["errors"][0]["problem"], "has 101 drinks, and an order may have 100");
    // Staff too: they can place several.
    bar.employee().await.post("/orders", items(&[20; 6])).await.expect_problem(422, "invalid");
    bar.close().await;

    let bar = limited(Sqlite, &["--drinks-per-order", "5"]).await;
    let guest = regular(&bar).await;
    let problem = orders(&guest, 6).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "quantity");
    orders(&guest, 5).await.expect(201);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn off_is_no_limit_at_all() {
    let bar = limited(Sqlite, &["--open-orders", "off"]).await;
    let guest = bar.guest().await;
    let most = json!({ "items": vec![json!({ "recipe": "Negroni", "quantity": 20 }); 20] });
    for _ in 0..20 {
        guest.post("/orders", most.clone()).await.expect(201);
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_counted() {
    let bar = limited(Sqlite, &["--open-orders", "1"]).await;
    let guest = regular(&bar).await;
    guest.order("Negroni").await;
    orders(&guest, 1).await.expect_problem(409, "too-many-open");
    let metrics = bar.admin().await.get("/metrics").await.text;
    let refused = metrics.lines().find(|line| line.contains(r#"refused_total{reason="too_many_open"}"#));
    let count: f64 = refused.and_then(|line| line.rsplit(' ').next()).expect("a counter").parse().unwrap();
    // Other tests of this process refuse, too.
    assert!(count >= 1.0, "{refused:?}");
    bar.close().await;
}
