//! Conditional requests: nobody overwrites a version that they have not read.

use crate::support::{
    Bar, DatabaseKind, Person, PostgreSql, Sqlite,
    person::{Answer, id, send},
};
use futures_util::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

fn water(method: &str) -> Value {
    json!({
        "name": "Glass of Water", "build": "built", "glass": "highball", "method": method,
        "ingredients": [{ "name": "water", "amount": 200, "unit": "ml" }],
    })
}

/// Returns the strong `ETag` of an answer.
#[track_caller]
fn tag(answer: &Answer) -> String {
    let tag = answer.header("etag").unwrap_or_else(|| panic!("no tag: {answer:?}")).to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    tag
}

async fn with(person: &Person, method: Method, path: &str, header: &str, value: &str) -> Answer {
    send(person.request(method, path).header(header, value)).await
}

/// Asserts that nothing changed: the `ETag` is still this one.
#[track_caller]
fn is_outdated(answer: Answer, now: &str) -> Value {
    assert_eq!(answer.header("etag"), Some(now), "{answer:?}");
    let problem = answer.expect_problem(412, "precondition-failed");
    assert_eq!(problem["etag"], now);
    problem
}

/// Returns the paths of a recipe, an account and an order, each with a person who may read it.
async fn one_of_each(bar: &Bar) -> [(Person, String); 3] {
    let (guest, staff, admin) = (bar.guest().await, bar.employee().await, bar.admin().await);
    let recipe = staff.post("/recipes", water("Pour.")).await.expect(201);
    let account = guest.get("/me").await.expect(200);
    let order = guest.order("Negroni").await;
    [
        (guest.clone(), format!("/recipes/{}", id(&recipe))),
        (admin, format!("/users/{}", id(&account))),
        (guest, format!("/orders/{}", id(&order))),
    ]
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_things_have_strong_tags_and_are_not_sent_twice(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let mut tags = Vec::new();
    for (who, path) in one_of_each(&bar).await {
        let answer = who.get(&path).await;
        let tag = tag(&answer);
        answer.expect(200);
        for known in
            [tag.clone(), "*".into(), format!("W/{tag}"), format!("\"x\", {tag}"), format!("\"a,b\" ,{tag}")]
        {
            for method in [Method::GET, Method::HEAD] {
                let answer = with(&who, method, &path, "If-None-Match", &known).await;
                assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{path} for {known}");
                assert_eq!(answer.header("etag"), Some(tag.as_str()), "{path} for {known}");
            }
        }
        for other in ["\"x\"", "", "x", "W/\"x\"", &tag[1..]] {
            with(&who, Method::GET, &path, "If-None-Match", other).await.expect(200);
        }
        assert!(!tags.contains(&tag), "{tag} twice");
        tags.push(tag);
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_tells_the_new_tag(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, staff, admin) = (bar.guest().await, bar.employee().await, bar.admin().await);
    let mut tags = Vec::new();
    let mut told = async |answer: Answer, who: &Person, path: &str| {
        let told = tag(&answer);
        assert_eq!(tag(&who.get(path).await), told, "{path}");
        assert!(!tags.contains(&told), "{told} twice");
        tags.push(told);
        answer.body
    };
    let added = staff.post("/recipes", water("Pour.")).await;
    let path = added.header("location").expect("a location").to_owned();
    told(added, &guest, &path).await;
    told(staff.put(&path, water("Just pour.")).await, &guest, &path).await;
    told(staff.put(&format!("{path}/availability"), json!({ "available": false })).await, &guest, &path)
        .await;

    let account = format!("/users/{}", id(&guest.get("/me").await.expect(200)));
    told(admin.patch(&account, json!({ "role": "employee" })).await, &admin, &account).await;
    told(admin.patch(&account, json!({ "role": "customer" })).await, &admin, &account).await;

    let placed = guest.post("/orders", json!({ "recipe": "Negroni" })).await;
    let order = placed.header("location").expect("a location").to_owned();
    told(placed, &guest, &order).await;
    told(staff.ask("/orders/next").await, &guest, &order).await;
    for action in ["ready", "undo", "undo", "cancel"] {
        told(staff.ask(&format!("{order}/{action}")).await, &guest, &order).await;
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_changes_what_they_have_not_seen(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (staff, admin) = (bar.employee().await, bar.admin().await);
    let [(_, recipe), (_, account), (guest, order)] = one_of_each(&bar).await;
    let sold_out = format!("{recipe}/availability");
    let seen = tag(&guest.get(&recipe).await);
    let now = tag(&staff.put_if(&sold_out, &seen, json!({ "available": false })).await);
    let before = guest.get(&recipe).await.expect(200);
    is_outdated(staff.put_if(&recipe, &seen, water("Spill.")).await, &now);
    is_outdated(staff.put_if(&sold_out, &seen, json!({ "available": true })).await, &now);
    is_outdated(with(&staff, Method::DELETE, &recipe, "If-Match", &seen).await, &now);
    assert_eq!(guest.get(&recipe).await.expect(200), before);
    with(&staff, Method::DELETE, &recipe, "If-Match", &now).await.expect(204);
    with(&staff, Method::DELETE, &recipe, "If-Match", &now).await.expect_problem(404, "not-found");
    // Another drink of that name is another one.
    let again = tag(&staff.post("/recipes", water("Pour.")).await);
    is_outdated(staff.put_if("/recipes/glass%20of%20water", &seen, water("Spill.")).await, &again);

    let seen = tag(&admin.get(&account).await);
    let now = tag(&admin.patch_if(&account, &seen, json!({ "role": "employee" })).await);
    is_outdated(admin.patch_if(&account, &seen, json!({ "role": "admin" })).await, &now);
    assert_eq!(admin.get(&account).await.expect(200)["role"], "employee");

    let seen = tag(&guest.get(&order).await);
    let now = tag(&with(&staff, Method::POST, &format!("{order}/start"), "If-Match", &seen).await);
    // Not what a guest saw who calls it off, nor what staff saw who step one back.
    for (who, action) in [(&guest, "cancel"), (&staff, "undo"), (&staff, "start")] {
        let problem =
            is_outdated(with(who, Method::POST, &format!("{order}/{action}"), "If-Match", &seen).await, &now);
        assert_eq!(problem["order"]["status"], "in_progress");
    }
    with(&staff, Method::POST, &format!("{order}/undo"), "If-Match", &now).await.expect(200);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_are_compared_as_the_rfc_says(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let staff = bar.employee().await;
    let [(guest, recipe), ..] = one_of_each(&bar).await;
    let path = format!("{recipe}/availability");
    let change = async |header: &str, value: &str| {
        let request = staff.request(Method::PUT, &path).header(header, value);
        send(request.json(&json!({ "available": false }))).await
    };
    let now = async || tag(&guest.get(&recipe).await);
    for list in ["*", " * ", "TAG", "\"x\", TAG", ",TAG,", "\"a,b\",W/\"x\" , TAG"] {
        let value = list.replace("TAG", &now().await);
        assert_eq!(change("If-Match", &value).await.status, 200, "{value}");
    }
    let tag = now().await;
    for list in ["W/TAG", "\"x\"", "\"x\", W/TAG", ""] {
        is_outdated(change("If-Match", &list.replace("TAG", &tag)).await, &tag);
    }
    for list in ["*", "TAG", "W/TAG", "\"x\", TAG"] {
        is_outdated(change("If-None-Match", &list.replace("TAG", &tag)).await, &tag);
    }
    for list in ["x", "\"x", "TAG TAG", "*, TAG", "w/TAG", "TAGx"] {
        for header in ["If-Match", "If-None-Match"] {
            let problem = change(header, &list.replace("TAG", &tag)).await.expect_problem(422, "invalid");
            assert_eq!(problem["errors"][0]["field"], header, "{list}");
        }
    }
    assert_eq!(now().await, tag, "none of these changed anything");
    // Several lines are one list.
    let request = staff.request(Method::PUT, &path).header("If-Match", "\"x\"").header("If-Match", &tag);
    send(request.json(&json!({ "available": true }))).await.expect(200);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_replaces_something_must_say_what_they_saw(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (staff, admin) = (bar.employee().await, bar.admin().await);
    let [(_, recipe), (_, account), (guest, _)] = one_of_each(&bar).await;
    let before = guest.get(&recipe).await.expect(200);
    for request in [
        staff.request(Method::PUT, &recipe).json(&water("Spill.")),
        staff.request(Method::PUT, &recipe).header("If-None-Match", "\"x\"").json(&water("Spill.")),
        admin.request(Method::PATCH, &account).json(&json!({ "role": "admin" })),
    ] {
        send(request).await.expect_problem(428, "precondition-required");
    }
    assert_eq!(guest.get(&recipe).await.expect(200), before);
    assert_eq!(admin.get(&account).await.expect(200)["role"], "customer");
    // Who may not do it at all learns nothing more.
    send(guest.request(Method::PUT, &recipe).json(&water("Spill.")))
        .await
        .expect_problem(403, "not-permitted");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_saw_the_same_one_changes_it(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (staff, admin) = (bar.employee().await, bar.admin().await);
    let [(guest, recipe), (_, account), (_, order)] = one_of_each(&bar).await;
    let (seen_recipe, seen_account) = (tag(&guest.get(&recipe).await), tag(&admin.get(&account).await));
    let seen_order = tag(&guest.get(&order).await);
    let recipes =
        join_all((0..10).map(|n| staff.put_if(&recipe, &seen_recipe, water(&format!("Pour {n}."))))).await;
    let roles = ["employee", "admin"];
    let accounts =
        join_all((0..10).map(|n| admin.patch_if(&account, &seen_account, json!({ "role": roles[n % 2] }))))
            .await;
    let start = format!("{order}/start");
    let orders = join_all((0..10).map(|_| with(&staff, Method::POST, &start, "If-Match", &seen_order))).await;
    for answers in [recipes, accounts, orders] {
        let mut done = 0;
        for answer in answers {
            if answer.status == 200 {
                done += 1;
            } else {
                answer.expect_problem(412, "precondition-failed");
            }
        }
        assert_eq!(done, 1);
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_a_strong_tag_is_sent_as_it_is() {
    let bar = Bar::open(Sqlite).await;
    let gzipped =
        async |who: &Person, path: &str| with(who, Method::GET, path, "Accept-Encoding", "gzip").await;
    for (who, path) in one_of_each(&bar).await {
        let (plain, answer) = (who.get(&path).await, gzipped(&who, &path).await);
        assert_eq!(answer.header("content-encoding"), None, "{path}");
        assert_eq!((tag(&answer), &answer.text), (tag(&plain), &plain.text), "{path}");
        assert_eq!(plain.header("content-encoding"), None, "{path}");
    }
    // The menu has a weak one, and is compressed.
    let menu = gzipped(&bar.stranger(), "/recipes").await;
    assert_eq!(menu.header("content-encoding"), Some("gzip"));
    assert!(menu.header("etag").is_some_and(|tag| tag.starts_with("W/\"")));
    bar.close().await;
}
