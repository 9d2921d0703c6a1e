//! Each change leaves one entry, with the values before and after.

use super::{changes, entries, only, sql, water};
use crate::{
    dead_letters::{keep, message},
    support::{
        Bar, DatabaseKind, Person, PostgreSql, Sqlite,
        database::Database,
        executable::run,
        person::{id, send},
    },
};
use chrono::DateTime;
use futures_util::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Asserts that an entry has actor, action, time, subject and request id.
#[track_caller]
fn says(entry: &Value, actor: &Value, action: &str, kind: &str, subject: &str) {
    let number: Uuid = entry["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(number.get_version_num(), 7, "{entry}");
    let at = DateTime::parse_from_rfc3339(entry["at"].as_str().unwrap()).unwrap();
    let made = number.get_timestamp().unwrap().to_unix().0.cast_signed();
    assert!((at.timestamp() - made).abs() <= 1, "{entry}");
    let found = (&entry["actor_id"], &entry["action"], &entry["subject"]);
    assert_eq!(found, (actor, &json!(action), &json!({ "kind": kind, "id": subject })), "{entry}");
}

/// Sends a request with this request id.
async fn named(who: &Person, method: Method, path: &str, body: Value, name: &str) -> Value {
    let request = who.request(method, path).header("X-Request-Id", name).header("If-Match", "*");
    let answer = send(request.json(&body)).await;
    assert!(answer.status < 300, "{path}: {answer:?}");
    answer.body
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (admin, admins_id) =
        (bar.admin().await, bar.admin().await.get("/me").await.expect(200)["id"].clone());
    let account = json!({ "username": "Ana", "email": "ana@bar.example", "password": "q7#fL2vx" });
    let signed_in = named(&bar.stranger(), Method::POST, "/register", account, "r-1").await;
    let (ana, anas_id) =
        (bar.holder_of(signed_in["token"].as_str().unwrap()), signed_in["user"]["id"].clone());
    let path = format!("/users/{}", anas_id.as_str().unwrap());
    named(&admin, Method::PATCH, &path, json!({ "role": "employee" }), "r-2").await;
    named(&admin, Method::PATCH, &path, json!({ "role": "employee", "active": true }), "nothing new").await;
    let passwords = json!({ "current_password": "q7#fL2vx", "new_password": "x9#kR4wz" });
    named(&ana, Method::PUT, "/me/password", passwords, "r-3").await;
    named(&admin, Method::PATCH, &path, json!({ "role": "customer", "active": false }), "r-4").await;
    named(&admin, Method::PATCH, &path, json!({ "active": true }), "r-5").await;

    let subject = anas_id.as_str().unwrap();
    let mut trail = entries(&admin, &format!("subject_id={subject}")).await;
    trail.reverse();
    let expected = [
        (&anas_id, "account_registered", json!([["role", null, "customer"]]), "r-1"),
        (&admins_id, "account_role_changed", json!([["role", "customer", "employee"]]), "r-2"),
        (&anas_id, "account_password_changed", json!([]), "r-3"),
        (&admins_id, "account_role_changed", json!([["role", "employee", "customer"]]), "r-4"),
        (&admins_id, "account_deactivated", json!([["active", true, false]]), "r-4"),
        (&admins_id, "account_activated", json!([["active", false, true]]), "r-5"),
    ];
    assert_eq!(trail.len(), expected.len(), "{trail:#?}");
    for (entry, (actor, action, different, request)) in trail.iter().zip(expected) {
        says(entry, actor, action, "account", subject);
        assert_eq!((&changes(entry), &entry["request_id"]), (&different, &json!(request)));
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipes(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (admin, staff) = (bar.admin().await, bar.employee().await);
    let bartender = staff.get("/me").await.expect(200)["id"].clone();
    let recipe = named(&staff, Method::POST, "/recipes", water(), "r-1").await;
    let path = format!("/recipes/{}", id(&recipe));
    let mut better = water();
    better["garnish"] = json!("lemon slice");
    better["glass"] = json!("rocks");
    named(&staff, Method::PUT, &path, better.clone(), "r-2").await;
    named(&staff, Method::PUT, &path, better.clone(), "nothing new").await;
    named(&staff, Method::PUT, &format!("{path}/availability"), json!({ "available": false }), "r-3").await;
    named(&staff, Method::PUT, &format!("{path}/availability"), json!({ "available": false }), "nothing new")
        .await;
    named(&staff, Method::DELETE, &path, Value::Null, "r-4").await;

    let mut trail = entries(&admin, &format!("subject_id={}", id(&recipe))).await;
    trail.reverse();
    let ingredients = water()["ingredients"].clone();
    // The ingredients' amounts are numbers that need not be whole.
    let ingredients = {
        let mut list = ingredients;
        list[0]["amount"] = json!(200.0);
        list
    };
    let expected = [
        (
            "recipe_added",
            json!([
                ["build", null, "built"],
                ["glass", null, "highball"],
                ["ingredients", null, ingredients],
                ["method", null, "Pour."],
                ["name", null, "Water"]
            ]),
            "r-1",
        ),
        ("recipe_replaced", json!([["garnish", null, "lemon slice"], ["glass", "highball", "rocks"]]), "r-2"),
        ("recipe_availability_changed", json!([["available", true, false]]), "r-3"),
        (
            "recipe_archived",
            json!([
                ["build", "built", null],
                ["garnish", "lemon slice", null],
                ["glass", "rocks", null],
                ["ingredients", ingredients, null],
                ["method", "Pour.", null],
                ["name", "Water", null]
            ]),
            "r-4",
        ),
    ];
    assert_eq!(trail.len(), expected.len(), "{trail:#?}");
    for (entry, (action, different, request)) in trail.iter().zip(expected) {
        says(entry, &bartender, action, "recipe", id(&recipe));
        assert_eq!((&changes(entry), &entry["request_id"]), (&different, &json!(request)));
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moves_of_orders(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (admin, staff, guest) = (bar.admin().await, bar.employee().await, bar.guest().await);
    let bartender = staff.get("/me").await.expect(200)["id"].clone();
    let guests_id = guest.get("/me").await.expect(200)["id"].clone();
    let (order, other) = (guest.order("Negroni").await, guest.order("Negroni").await);
    named(&staff, Method::POST, "/orders/next", Value::Null, "r-1").await;
    let path = format!("/orders/{}", id(&order));
    named(&staff, Method::POST, &format!("{path}/undo"), json!({}), "r-2").await;
    named(&staff, Method::POST, &format!("{path}/fail"), json!({ "reason": "no gin" }), "r-3").await;
    named(&guest, Method::POST, &format!("/orders/{}/cancel", id(&other)), json!({}), "r-4").await;

    let called_off = only(entries(&admin, &format!("subject_id={}", id(&other))).await);
    says(&called_off, &guests_id, "order_moved", "order", id(&other));
    let mut trail = entries(&admin, &format!("subject_id={}", id(&order))).await;
    trail.reverse();
    let expected = [
        (json!([["status", "pending", "in_progress"]]), "r-1"),
        (json!([["status", "in_progress", "pending"]]), "r-2"),
        (json!([["reason", null, "no gin"], ["status", "pending", "failed"]]), "r-3"),
    ];
    assert_eq!(trail.len(), expected.len(), "that it was placed is no change of it: {trail:#?}");
    for (entry, (different, request)) in trail.iter().zip(expected) {
        says(entry, &bartender, "order_moved", "order", id(&order));
        assert_eq!((&changes(entry), &entry["request_id"]), (&different, &json!(request)));
    }
    // Its id is for good.
    let again = entries(&admin, "action=order_moved").await;
    assert!(trail.iter().chain([&called_off]).all(|entry| again.contains(entry)), "{again:#?}");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (admin, guest) = (bar.admin().await, bar.guest().await);
    let admins_id = admin.get("/me").await.expect(200)["id"].clone();
    let customer = guest.get("/me").await.expect(200);
    let recipe = admin.get("/recipes/Negroni").await.expect(200);
    let order = Uuid::now_v7();
    let store = bar.database.store();
    let path = keep(&store, Some(order), message(order, id(&customer), &recipe)).await;
    store.close();
    for (method, step, request) in [
        (Method::DELETE, "", "r-1"),
        (Method::DELETE, "", "nothing new"),
        (Method::POST, "/replay", "r-2"),
        (Method::POST, "/replay", "nothing new"),
    ] {
        named(&admin, method, &format!("{path}{step}"), Value::Null, request).await;
    }
    let letter = path.rsplit('/').next().unwrap();
    let trail = entries(&admin, &format!("subject_id={letter}")).await;
    let expected = [
        ("dead_letter_replayed", json!([["resolution", "discarded", "replayed"]]), "r-2"),
        ("dead_letter_discarded", json!([["resolution", null, "discarded"]]), "r-1"),
    ];
    assert_eq!(trail.len(), expected.len(), "{trail:#?}");
    for (entry, (action, different, request)) in trail.iter().zip(expected) {
        says(entry, &admins_id, action, "dead_letter", letter);
        assert_eq!((&changes(entry), &entry["request_id"]), (&different, &json!(request)));
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_at_once_is_told_in_its_order(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (admin, guest) = (bar.admin().await, bar.guest().await);
    let account = guest.get("/me").await.expect(200);
    let recipe = admin.get("/recipes/Negroni").await.expect(200);
    let availability = format!("/recipes/{}/availability", id(&recipe));
    let path = format!("/users/{}", id(&account));
    join_all((0..24).map(async |n| {
        let role = ["employee", "admin", "customer"][n % 3];
        admin.patch(&path, json!({ "role": role })).await.expect(200);
        admin.put(&availability, json!({ "available": n % 2 == 0 })).await.expect(200);
    }))
    .await;
    for (subject, field, first, last) in [
        (id(&account), "role", json!("customer"), admin.get("/users").await.expect(200)),
        (id(&recipe), "available", json!(true), admin.get("/recipes").await.expect(200)),
    ] {
        let mut trail = entries(&admin, &format!("subject_id={subject}")).await;
        trail.retain(|entry| entry["request_id"].is_string() && entry["action"] != "account_registered");
        trail.reverse();
        assert!(trail.len() > 1, "{trail:#?}");
        // Each begins where the one before it ended, and the last one where things are now.
        let mut stands = first;
        for entry in &trail {
            assert_eq!(changes(entry)[0][0], field);
            assert_eq!(changes(entry)[0][1], stands, "{trail:#?}");
            stands = changes(entry)[0][2].clone();
        }
        let list = last["users"].as_array().or(last["recipes"].as_array()).unwrap();
        let now = list.iter().find(|one| one["id"] == subject).unwrap();
        assert_eq!(now[field], stands, "{trail:#?}");
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_it(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let admin = bar.admin().await;
    let account = json!({ "username": "Ana", "email": "ana@bar.example", "password": "q7#fL2vx" });
    let signed_in = bar.stranger().post("/register", account).await.expect(201);
    let ana = bar.holder_of(signed_in["token"].as_str().unwrap());
    let passwords = json!({ "current_password": "q7#fL2vx", "new_password": "x9#kR4wz" });
    ana.put("/me/password", passwords).await.expect(204);
    for password in ["x9#kR4wz", "wrong"] {
        bar.stranger().post("/login", json!({ "email": "ana@bar.example", "password": password })).await;
    }
    let mut path = "/audit?limit=100".to_owned();
    loop {
        let page = admin.get(&path).await;
        // Nor an address: what can't be deleted must not hold what a person may ask to have deleted.
        for secret in ["q7#fL2vx", "x9#kR4wz", "password123", "$2", "eyJ", "hash", "@", "Ana"] {
            assert!(!page.text.contains(secret), "it tells {secret}: {}", page.text);
        }
        match page.expect(200)["next_cursor"].as_str() {
            Some(cursor) => path = format!("/audit?limit=100&cursor={cursor}"),
            None => break,
        }
    }
    bar.close().await;
}

/// Counts the entries of operators by action.
async fn by_operators(bar: &Bar) -> BTreeMap<String, usize> {
    let admin = bar.admin().await;
    let mut found = BTreeMap::new();
    for entry in entries(&admin, "actor=system").await {
        assert_eq!((&entry["actor_id"], &entry["request_id"]), (&Value::Null, &Value::Null), "{entry}");
        *found.entry(entry["action"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    found
}

async fn what_operators_do(database: Database) {
    let environment = [("DATABASE_URL", database.url.as_str()), ("ADMIN_PASSWORD", "q7#fL2vx-long")];
    for _ in 0..2 {
        assert!(run(&["seed", "--admin", "boss@bar.example"], &environment).await.status.success());
    }
    let store = database.store();
    let letter = keep(&store, None, b"rubbish".to_vec()).await;
    store.close();
    let letter = letter.rsplit('/').next().unwrap();
    for _ in 0..2 {
        assert!(run(&["dead-letters", "discard", letter], &environment[..1]).await.status.success());
    }
    let bar = Bar::open_on(database, &[]).await;
    let menu = bar.stranger().get("/recipes").await.expect(200)["recipes"].as_array().unwrap().len();
    // The admin of the command line, and the demo's three.
    let expected = [("account_seeded", 4), ("dead_letter_discarded", 1), ("recipe_added", menu)];
    assert_eq!(by_operators(&bar).await, expected.map(|(action, number)| (action.to_owned(), number)).into());
    let admin = bar.admin().await;
    let accounts = entries(&admin, "action=account_seeded").await;
    assert_eq!(changes(&accounts[3]), json!([["role", null, "admin"]]), "{accounts:#?}");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_do_on_sqlite() {
    what_operators_do(Database::file()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_do_on_postgres() {
    what_operators_do(Database::empty().await).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_set_back_does_not_mix_up_an_orders_moves(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (admin, staff) = (bar.admin().await, bar.employee().await);
    let order = bar.customer().await.order("Negroni").await;
    // As if the last move had been made by a clock that is far ahead.
    let ahead = "2099-01-01 00:00:00+00:00";
    sql(&bar.database, &format!("UPDATE orders SET updated_at = '{ahead}'")).await.unwrap();
    for action in ["start", "ready", "complete"] {
        staff.moves(&order, action).await.expect(200);
    }
    let trail = entries(&admin, &format!("subject_id={}", id(&order))).await;
    let states: Vec<_> = trail.iter().map(|entry| changes(entry)[0][2].clone()).collect();
    assert_eq!(states, ["completed", "ready", "in_progress"]);
    let times: Vec<_> = trail.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert_eq!(times, [3, 2, 1].map(|micros| format!("2099-01-01T00:00:00.00000{micros}Z")));
    bar.close().await;
}
