//! Requests under an `Idempotency-Key` are executed once, however often they are sent.

mod authorisation;
mod orders;

use crate::support::{
    Bar, DatabaseKind, Person, PostgreSql, Sqlite,
    person::{Answer, id, send},
};
use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use shakerqueue::{
    domain::now,
    store::{Store, idempotency_keys},
};

fn water(name: &str) -> Value {
    json!({
        "name": name, "build": "built", "glass": "highball", "method": "Pour.",
        "ingredients": [{ "name": "water", "amount": 200, "unit": "ml" }],
    })
}

fn ana(username: &str, password: &str) -> Value {
    json!({ "username": username, "email": "Ana@Bar.Example", "password": password })
}

/// Asserts that an answer replays an earlier one.
#[track_caller]
fn repeats(answer: &Answer, first: &Answer) {
    assert_eq!((answer.status, &answer.text), (first.status, &first.text));
    for header in ["location", "etag", "content-type", "cache-control"] {
        assert_eq!(answer.header(header), first.header(header), "{header}");
    }
    assert_eq!(
        (first.header("idempotency-replayed"), answer.header("idempotency-replayed")),
        (None, Some("true"))
    );
}

/// Returns every stored key, as text.
async fn how_many(store: &Store, names: &[[u8; 32]]) -> usize {
    let names = names.to_vec();
    let find = store.read(async move |conn| {
        let mut found = 0;
        for name in names {
            found += usize::from(idempotency_keys::find(conn, name).await?.is_some());
        }
        Ok(found)
    });
    find.await.expect("the keys")
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drink_is_added_once(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (ana, ben) = (bar.employee().await, bar.admin().await);
    let first = ana.post_once("k", "/recipes", water("Water")).await;
    let recipe = first.body.clone();
    assert_eq!(first.status, 201, "{first:?}");
    repeats(&ana.post_once("k", "/recipes", water("Water")).await, &first);
    // Also when it is no longer as it was, or gone.
    ana.put(&format!("/recipes/{}/availability", id(&recipe)), json!({ "available": false }))
        .await
        .expect(200);
    repeats(&ana.post_once("k", "/recipes", water("Water")).await, &first);
    ana.delete(&format!("/recipes/{}", id(&recipe))).await.expect(204);
    repeats(&ana.post_once("k", "/recipes", water("Water")).await, &first);
    ana.get(&format!("/recipes/{}", id(&recipe))).await.expect_problem(404, "not-found");

    ana.post_once("k", "/recipes", water("Ice")).await.expect_problem(422, "idempotency-key-reused");
    ana.ask_once("k", "/orders/next").await.expect_problem(422, "idempotency-key-reused");
    let other = ben.post_once("k", "/recipes", water("Water")).await;
    assert_ne!(id(&other.expect(201)), id(&recipe), "another account's key is another key");
    ana.post("/recipes", water("Water")).await.expect_problem(409, "recipe-exists");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_may_be_tried_again(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let staff = bar.employee().await;
    staff.post_once("k", "/recipes", water("Negroni")).await.expect_problem(409, "recipe-exists");
    staff.delete("/recipes/negroni").await.expect(204);
    staff.post_once("k", "/recipes", water("Negroni")).await.expect(201);
    let order = bar.guest().await.order("Mojito").await;
    let ready = format!("/orders/{}/ready", id(&order));
    staff.ask_once("r", &ready).await.expect_problem(409, "illegal-move");
    staff.moves(&order, "start").await.expect(200);
    staff.ask_once("r", &ready).await.expect(200);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_requests_at_once_under_one_key_one_is_done(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, staff) = (bar.guest().await, bar.employee().await);
    for _ in 0..3 {
        guest.order("Negroni").await;
    }
    let adding = join_all((0..20).map(|_| staff.post_once("k", "/recipes", water("Water")))).await;
    let claiming = join_all((0..20).map(|_| staff.ask_once("n", "/orders/next"))).await;
    let stranger = bar.stranger();
    let registering =
        join_all((0..10).map(|_| stranger.post_once("k", "/register", ana("Ana", "a good password")))).await;
    for (answers, status) in [(&adding, 201), (&claiming, 200)] {
        let first =
            answers.iter().find(|answer| answer.header("idempotency-replayed").is_none()).expect("the first");
        assert_eq!(first.status, status);
        let repeated = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_some());
        assert_eq!(repeated.map(|answer| repeats(answer, first)).count(), answers.len() - 1);
    }
    let users: Vec<_> = registering.into_iter().map(|answer| answer.expect(201)["user"].clone()).collect();
    assert!(users.iter().all(|user| *user == users[0]), "{users:?}");
    assert_eq!(
        staff.get("/orders?status=in_progress").await.expect(200)["orders"].as_array().unwrap().len(),
        1
    );
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_whose_answer_was_lost_is_no_second_claim(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, staff, other) = (bar.guest().await, bar.employee().await, bar.admin().await);
    let none = staff.ask_once("0", "/orders/next").await;
    assert_eq!(none.status, 204);
    for _ in 0..3 {
        guest.order("Negroni").await;
    }
    let first = staff.ask_once("1", "/orders/next").await;
    assert_eq!(first.body["status"], "in_progress");
    repeats(&staff.ask_once("1", "/orders/next").await, &first);
    repeats(&staff.ask_once("0", "/orders/next").await, &none);
    staff.moves(&first.body, "ready").await.expect(200);
    repeats(&staff.ask_once("1", "/orders/next").await, &first);
    let second = staff.ask_once("2", "/orders/next").await.expect(200);
    assert_ne!(id(&second), id(&first.body));
    let third = other.ask_once("1", "/orders/next").await.expect(200);
    assert!(![id(&first.body), id(&second)].contains(&id(&third)), "another bartender's key is another key");
    assert_eq!(staff.claim().await, None);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_is_made_once(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, staff) = (bar.guest().await, bar.employee().await);
    let order = guest.order("Negroni").await;
    let path = |action: &str| format!("/orders/{}/{action}", id(&order));
    staff.ask_once("start", &path("start")).await.expect(200);
    staff.ask_once("ready", &path("ready")).await.expect(200);
    let undone = staff.ask_once("undo", &path("undo")).await;
    assert_eq!(undone.body["status"], "in_progress");
    repeats(&staff.ask_once("undo", &path("undo")).await, &undone);
    assert_eq!(guest.sees(&order).await.expect(200)["status"], "in_progress", "and not two steps back");
    staff.ask_once("undo", &path("ready")).await.expect_problem(422, "idempotency-key-reused");
    let failed = staff.post_once("fail", &path("fail"), json!({ "reason": "no gin" })).await;
    repeats(&staff.post_once("fail", &path("fail"), json!({ "reason": "no gin" })).await, &failed);
    let other = staff.post_once("fail", &path("fail"), json!({ "reason": "no rum" })).await;
    other.expect_problem(422, "idempotency-key-reused");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_made_once_and_a_key_opens_none(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let stranger = bar.stranger();
    let first = stranger.post_once("k", "/register", ana("Ana", "a good password")).await.expect(201);
    let again = stranger.post_once("k", "/register", ana("Ana", "a good password")).await;
    assert_eq!(again.header("location"), Some("/me"));
    let again = again.expect(201);
    assert_eq!(again["user"], first["user"]);
    bar.holder_of(again["token"].as_str().unwrap()).get("/me").await.expect(200);
    for other in [ana("Ana", "another password"), ana("Ben", "a good password")] {
        stranger.post_once("k", "/register", other).await.expect_problem(422, "idempotency-key-reused");
    }
    stranger
        .post_once("other", "/register", ana("Ana", "a good password"))
        .await
        .expect_problem(409, "email-taken");
    stranger.post("/register", ana("Ana", "a good password")).await.expect_problem(409, "email-taken");
    // Another address is another person's key.
    let ben = json!({ "username": "Ben", "email": "ben@bar.example", "password": "a good password" });
    assert_ne!(
        stranger.post_once("k", "/register", ben).await.expect(201)["user"]["id"],
        first["user"]["id"]
    );
    // What the account may do counts as it is now.
    let account = format!("/users/{}", first["user"]["id"].as_str().unwrap());
    bar.admin().await.patch(&account, json!({ "active": false })).await.expect(200);
    let off = stranger.post_once("k", "/register", ana("Ana", "a good password")).await;
    off.expect_problem(403, "account-inactive");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_keys_are_forgotten_some_at_a_time(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (staff, store) = (bar.employee().await, bar.database.store());
    let name = |n: u8, age: u8| {
        let mut name = [n; 32];
        name[0] = age;
        name
    };
    let (old, young): (Vec<_>, Vec<_>) = (0..250).map(|n| (name(n, 1), name(n, 0))).unzip();
    let (day, long) = (TimeDelta::hours(24) + TimeDelta::minutes(10), TimeDelta::days(30));
    let written = (old.clone(), young.clone());
    let write = store.write(async move |conn| {
        for (names, age) in [(written.0, long), (written.1, day)] {
            for name in names {
                assert!(idempotency_keys::claim(conn, name, [0; 32], now() - age).await?.is_none());
            }
        }
        Ok(())
    });
    write.await.expect("keys");
    let mut left = vec![old.len()];
    for n in 0..3 {
        staff.post_once(&n.to_string(), "/recipes", water(&format!("Water {n}"))).await.expect(201);
        left.push(how_many(&store, &old).await);
    }
    assert_eq!(left, [250, 150, 50, 0]);
    assert_eq!(how_many(&store, &young).await, 250, "a day is not long enough to forget");
    store.close();
    staff.post_once("0", "/recipes", water("Water 0")).await.expect(201);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_keys_nor_who_sent_them_are_kept_in_clear() {
    let bar = Bar::open(PostgreSql).await;
    bar.stranger().post_once("a secret key", "/register", ana("Ana", "a good password")).await.expect(201);
    bar.employee().await.post_once("a secret key", "/recipes", water("Water")).await.expect(201);
    let rows = "SELECT name || fingerprint, idempotency_keys::text FROM idempotency_keys";
    let rows = bar.database.client().await.query(rows, &[]).await.expect("rows");
    assert_eq!(rows.len(), 2);
    for row in rows {
        let (bytes, text): (Vec<u8>, String) = (row.get(0), row.get(1));
        let text = format!("{}{text}", String::from_utf8_lossy(&bytes)).to_lowercase();
        for secret in ["secret key", "ana", "bar.example", "password", "token", "eyj"] {
            assert!(!text.contains(secret), "it tells {secret}: {text}");
        }
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_can_not_be_one_is_refused_wherever_it_counts() {
    let bar = Bar::open(Sqlite).await;
    let staff: Person = bar.employee().await;
    let order = bar.guest().await.order("Negroni").await;
    let start = format!("/orders/{}/start", id(&order));
    let paths = [
        ("/register", ana("Ana", "a good password")),
        ("/recipes", water("Water")),
        ("/orders", json!({ "recipe": "Negroni" })),
        ("/orders/next", json!({})),
        ("/orders/cancel", json!({ "customer_id": order["customer_id"] })),
        (&start, json!({})),
    ];
    for (path, body) in paths {
        let post = |key: &str| staff.request(Method::POST, path).header("Idempotency-Key", key).json(&body);
        for request in [post(""), post(&"k".repeat(256)), post("a").header("Idempotency-Key", "b")] {
            let problem = send(request).await.expect_problem(422, "invalid");
            assert_eq!(problem["errors"][0]["field"], "Idempotency-Key", "{path}");
        }
    }
    assert_eq!(staff.get("/orders?status=in_progress").await.expect(200)["orders"], json!([]));
    bar.close().await;
}
