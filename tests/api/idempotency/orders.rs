//! Orders under an `Idempotency-Key`.

use crate::support::{
    Bar, DatabaseKind, Person, PostgreSql, Sqlite, eventually,
    person::{Answer, id},
};
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Time in which a bar records an order, or refuses it.
const RECORD_TIMEOUT: Duration = Duration::from_millis(950);

/// Asserts that an answer is the order of an earlier request.
#[track_caller]
fn repeats(answer: Answer, first: &Value) {
    assert_eq!(answer.header("idempotency-replayed"), Some("true"), "{answer:?}");
    assert_eq!(id(&answer.expect(201)), id(first));
}

/// Returns the order of an answer that is not a replay.
#[track_caller]
fn new(answer: Answer) -> Value {
    assert_eq!(answer.header("idempotency-replayed"), None, "{answer:?}");
    answer.expect(201)
}

/// Sends an order under one key until there is an answer other than 503. A bar may refuse an order that it can't record
/// in time, as on a busy machine, but not before that time is over. Returns the answer, and true after a refusal.
async fn post_until_decided(guest: &Person, order: &Value) -> (Answer, bool) {
    let mut was_refused = false;
    eventually("an answer other than 503", async || {
        let begun = Instant::now();
        let answer = guest.post_once("k", "/orders", order.clone()).await;
        if answer.status == 503 {
            assert!(begun.elapsed() >= RECORD_TIMEOUT, "refused after {:?}: {answer:?}", begun.elapsed());
            was_refused = true;
            return None;
        }
        Some((answer, was_refused))
    })
    .await
}

fn water(name: &str) -> Value {
    json!({
        "name": name, "build": "built", "glass": "highball", "method": "Pour.",
        "ingredients": [{ "name": "water", "amount": 200, "unit": "ml" }],
    })
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_order_says_that_it_is_one(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, staff) = (bar.guest().await, bar.employee().await);
    let order = json!({ "recipe": "Mojito" });
    let first = new(guest.post_once("k", "/orders", order.clone()).await);
    repeats(guest.post_once("k", "/orders", order.clone()).await, &first);
    // Where nobody remembers it.
    let there = bar.another().await;
    repeats(guest.at(&there.url).post_once("k", "/orders", order.clone()).await, &first);
    // Where the menu has it no more.
    staff.put("/recipes/mojito/availability", json!({ "available": false })).await.expect(200);
    repeats(guest.post_once("k", "/orders", order.clone()).await, &first);
    staff.delete("/recipes/mojito").await.expect(204);
    repeats(guest.post_once("k", "/orders", order.clone()).await, &first);
    there.close().await;
    let there = bar.another().await;
    repeats(guest.at(&there.url).post_once("k", "/orders", order).await, &first);
    there.close().await;
    // Another key, or none, is another order.
    new(guest.post_once("l", "/orders", json!({ "recipe": "Negroni" })).await);
    for _ in 0..2 {
        new(guest.post("/orders", json!({ "recipe": "Negroni" })).await);
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_under_one_key_one_is_no_repeat(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let guest = bar.guest().await;
    let order = json!({ "recipe": "Negroni" });
    let answers = join_all((0..20).map(|_| post_until_decided(&guest, &order))).await;
    let was_refused = answers.iter().any(|(_, was_refused)| *was_refused);
    let (repeated, new): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .map(|(answer, _)| answer)
        .partition(|answer| answer.header("idempotency-replayed").is_some());
    // A refused request may have placed the order: then all others repeat it.
    assert!(new.len() == 1 || new.is_empty() && was_refused, "{new:?}");
    let orders = guest.get("/orders").await.expect(200);
    let [order] = &orders["orders"].as_array().unwrap()[..] else { panic!("not one order: {orders}") };
    for answer in new {
        assert_eq!(id(&answer.expect(201)), id(order));
    }
    for answer in repeated {
        repeats(answer, order);
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_by_id_is_repeated_whatever_its_drink_is_called_since(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, staff) = (bar.guest().await, bar.employee().await);
    let mut drink = staff.post("/recipes", water("Water")).await.expect(201);
    let by_id = json!({ "items": [{ "recipe": drink["id"], "note": "no ice" }], "table": "4" });
    let by_name = json!({ "recipe": "water" });
    let (first, named) = (
        new(guest.post_once("id", "/orders", by_id.clone()).await),
        new(guest.post_once("name", "/orders", by_name.clone()).await),
    );
    let path = format!("/recipes/{}", id(&drink));
    drink["name"] = json!("Still Water");
    staff.put(&path, drink).await.expect(200);
    let there = bar.another().await;
    for person in [guest.clone(), guest.at(&there.url)] {
        repeats(person.post_once("id", "/orders", by_id.clone()).await, &first);
        repeats(person.post_once("name", "/orders", by_name.clone()).await, &named);
    }
    // Another drink takes the name.
    let other = staff.post("/recipes", water("Water")).await.expect(201);
    let later = bar.another().await;
    for person in [guest.clone(), guest.at(&later.url)] {
        repeats(person.post_once("id", "/orders", by_id.clone()).await, &first);
        repeats(person.post_once("name", "/orders", by_name.clone()).await, &named);
    }
    let mut wrong = by_id.clone();
    wrong["items"][0]["recipe"] = other["id"].clone();
    guest.post_once("id", "/orders", wrong).await.expect_problem(422, "idempotency-key-reused");
    let mut wrong = by_id;
    wrong["items"][0]["note"] = json!("with ice");
    for person in [guest.clone(), guest.at(&later.url)] {
        person.post_once("id", "/orders", wrong.clone()).await.expect_problem(422, "idempotency-key-reused");
    }
    assert_eq!(guest.get("/orders").await.expect(200)["orders"].as_array().unwrap().len(), 2);
    later.close().await;
    there.close().await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_counts_for_who_sends_it(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, other, till, second_till) =
        (bar.guest().await, bar.guest().await, bar.employee().await, bar.admin().await);
    let (guests_id, others_id) =
        (guest.get("/me").await.expect(200)["id"].clone(), other.get("/me").await.expect(200)["id"].clone());
    let order = json!({ "recipe": "Negroni" });
    let of = |customer: &Value| json!({ "recipe": "Negroni", "customer_id": customer });
    let orders = [
        new(guest.post_once("1", "/orders", order.clone()).await),
        new(till.post_once("1", "/orders", of(&guests_id)).await),
        new(second_till.post_once("1", "/orders", of(&guests_id)).await),
        new(till.post_once("1", "/orders", of(&others_id)).await),
        new(till.post_once("1", "/orders", order.clone()).await),
    ];
    let there = bar.another().await;
    for url in [&bar.url, &there.url] {
        repeats(guest.at(url).post_once("1", "/orders", order.clone()).await, &orders[0]);
        repeats(till.at(url).post_once("1", "/orders", of(&guests_id)).await, &orders[1]);
        repeats(second_till.at(url).post_once("1", "/orders", of(&guests_id)).await, &orders[2]);
        repeats(till.at(url).post_once("1", "/orders", of(&others_id)).await, &orders[3]);
        repeats(till.at(url).post_once("1", "/orders", order.clone()).await, &orders[4]);
    }
    let mojito = json!({ "recipe": "Mojito", "customer_id": guests_id });
    till.post_once("1", "/orders", mojito).await.expect_problem(422, "idempotency-key-reused");
    assert_eq!(till.get("/orders").await.expect(200)["orders"].as_array().unwrap().len(), orders.len());
    guest.sees(&orders[1]).await.expect(200);
    there.close().await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_before_keys_counted_for_their_sender_still_counts(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, till, second_till) = (bar.guest().await, bar.employee().await, bar.admin().await);
    let of_guest = json!({ "recipe": "Negroni", "customer_id": guest.get("/me").await.expect(200)["id"] });
    // The id that it had then is that of the guest's own orders.
    let old = new(guest.post_once("1", "/orders", json!({ "recipe": "Negroni" })).await);
    let by_till = "UPDATE orders SET placed_by = (SELECT id FROM users WHERE email = 'employee@example.com')";
    bar.database.execute(by_till).await;
    let there = bar.another().await;
    let [till, second_till] = [till, second_till].map(|person| person.at(&there.url));
    repeats(till.post_once("1", "/orders", of_guest.clone()).await, &old);
    let mut wrong = of_guest.clone();
    wrong["note"] = json!("no ice");
    till.post_once("1", "/orders", wrong).await.expect_problem(422, "idempotency-key-reused");
    let new = new(second_till.post_once("1", "/orders", of_guest).await);
    assert_ne!(id(&new), id(&old), "it was not this one's key");
    there.close().await;
    bar.close().await;
}
