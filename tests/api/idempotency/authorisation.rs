//! Replayed responses are authorised anew: only accounts that may read them now get them.

use super::water;
use crate::support::{
    Bar, DatabaseKind, Person, PostgreSql, Sqlite,
    person::{Answer, id},
};
use rstest::rstest;
use serde_json::{Value, json};

/// Changes the role of an account, or deactivates or activates it.
async fn change(bar: &Bar, account: &str, change: Value) {
    bar.admin().await.patch(&format!("/users/{account}"), change).await.expect(200);
}

/// Registers a guest, and returns the account's id.
async fn guest(bar: &Bar) -> (Person, String) {
    let guest = bar.guest().await;
    let account = id(&guest.get("/me").await.expect(200)).to_owned();
    (guest, account)
}

/// Staff's requests under keys about a guest's orders.
struct KeyedRequests {
    paths: Vec<(&'static str, String, Value)>,
}

impl KeyedRequests {
    async fn of(guest: &Person, guest_account: &str) -> Self {
        let [cancelled, started, _] =
            [guest.order("Negroni").await, guest.order("Negroni").await, guest.order("Mojito").await];
        let cancel = format!("/orders/{}/cancel", id(&cancelled));
        let start = format!("/orders/{}/start", id(&started));
        let order = json!({ "recipe": "Negroni", "note": "a secret wish", "customer_id": guest_account });
        let paths = vec![
            ("cancel", cancel, json!({ "reason": "a secret reason" })),
            ("start", start, json!({})),
            ("next", "/orders/next".to_owned(), json!({})),
            ("recipe", "/recipes".to_owned(), water("Water")),
            ("order", "/orders".to_owned(), order),
        ];
        Self { paths }
    }

    /// Sends all requests, or repeats them.
    async fn ask(&self, who: &Person) -> Vec<(&'static str, Answer)> {
        let mut answers = Vec::new();
        for (key, path, body) in &self.paths {
            answers.push((*key, who.post_once(key, path, body.clone()).await));
        }
        answers
    }
}

/// Asserts that an answer has nothing about the guest's orders.
#[track_caller]
fn tells_nothing(answer: &Answer) {
    assert_eq!(answer.header("idempotency-replayed"), None, "{answer:?}");
    assert_eq!((answer.header("etag"), answer.header("location")), (None, None), "{answer:?}");
    assert!(!answer.text.contains("secret") && !answer.text.contains("Negroni"), "{answer:?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_staff_were_answered_is_not_told_once_they_are_staff_no_more(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let ((ana, account), (guest, guest_account)) = (guest(&bar).await, guest(&bar).await);
    change(&bar, &account, json!({ "role": "employee" })).await;
    let work = KeyedRequests::of(&guest, &guest_account).await;
    let first = work.ask(&ana).await;
    for (key, answer) in &first {
        assert!([200, 201].contains(&answer.status), "{key}: {answer:?}");
    }
    change(&bar, &account, json!({ "role": "customer" })).await;
    for (key, answer) in work.ask(&ana).await {
        tells_nothing(&answer);
        match key {
            // Customers may cancel: their own.
            "cancel" => answer.expect_problem(404, "not-found"),
            _ => answer.expect_problem(403, "not-permitted"),
        };
    }
    // Nor whether it is the same that was asked for then.
    let (_, cancel, _) = &work.paths[0];
    let other = ana.post_once("cancel", cancel, json!({ "reason": "another" })).await;
    other.expect_problem(404, "not-found");
    // It is kept all the same.
    change(&bar, &account, json!({ "role": "employee" })).await;
    for ((key, answer), (_, first)) in work.ask(&ana).await.into_iter().zip(&first) {
        assert_eq!(id(&answer.body), id(&first.body), "{key}");
        if key != "order" {
            assert_eq!((answer.header("idempotency-replayed"), &answer.text), (Some("true"), &first.text));
        }
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_switched_off_or_signed_out_is_told_nothing(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let ((ana, account), (guest, guest_account)) = (guest(&bar).await, guest(&bar).await);
    change(&bar, &account, json!({ "role": "employee" })).await;
    let work = KeyedRequests::of(&guest, &guest_account).await;
    work.ask(&ana).await;
    let own = guest.order("Negroni").await;
    let cancel = format!("/orders/{}/cancel", id(&own));
    guest.ask_once("mine", &cancel).await.expect(200);
    guest.post_once("another", "/orders", json!({ "recipe": "Negroni" })).await.expect(201);
    guest.ask("/logout").await.expect(204);
    change(&bar, &account, json!({ "active": false })).await;
    let mut answers: Vec<_> = work.ask(&ana).await.into_iter().map(|(_, answer)| answer).collect();
    answers.push(guest.ask_once("mine", &cancel).await);
    answers.push(guest.post_once("another", "/orders", json!({ "recipe": "Negroni" })).await);
    for answer in answers {
        tells_nothing(&answer);
        answer.expect_problem(401, "not-signed-in");
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_ordered_for_who_is_switched_off_under_an_old_key_either(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (staff, (_, account)) = (bar.employee().await, guest(&bar).await);
    let order = json!({ "recipe": "Negroni", "customer_id": account });
    staff.post_once("k", "/orders", order.clone()).await.expect(201);
    change(&bar, &account, json!({ "active": false })).await;
    for key in ["k", "other"] {
        let answer = staff.post_once(key, "/orders", order.clone()).await;
        let problem = answer.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "customer_id", "{problem}");
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_told_so_before_anything_else_is_looked_at(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, order) = (bar.guest().await, bar.guest().await.order("Negroni").await);
    let start = format!("/orders/{}/start", id(&order));
    let cancel = format!("/orders/{}/cancel", id(&order));
    let post = |path: &str| guest.request(reqwest::Method::POST, path);
    for (path, status) in [(&start, 403), (&cancel, 404)] {
        let stale = post(path).header("If-Match", "\"1-00000000000000000000000000000000\"");
        assert_eq!(crate::support::person::send(stale).await.status, status, "{path}");
    }
    for (header, value) in [("If-Match", "rubbish"), ("Idempotency-Key", ""), ("Content-Type", "text/plain")]
    {
        let refused = crate::support::person::send(post(&start).header(header, value).body("rubbish")).await;
        refused.expect_problem(403, "not-permitted");
    }
    bar.close().await;
}
