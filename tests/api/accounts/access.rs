//! Changes of an account's role or activity: they hold for tokens issued before, at every `serve`.

use super::{account, again, email, login};
use crate::support::{Bar, DatabaseKind, Person, PostgreSql, Sqlite, eventually};
use rstest::rstest;
use serde_json::{Value, json};
use shakerqueue::store::users;

async fn change(admin: &Person, account: &str, change: Value) -> crate::support::person::Answer {
    admin.patch(&format!("/users/{account}"), change).await
}

async fn active_admins(bar: &Bar) -> usize {
    let store = bar.database.store();
    let users = store
        .read(async |conn| users::page(conn, users::UserFilter::default(), None, 100).await)
        .await
        .expect("the accounts");
    store.close();
    users.iter().filter(|user| user.active && user.role == shakerqueue::domain::account::Role::Admin).count()
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_changes_at_once_also_for_tokens_from_before(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, admin) = (bar.guest().await, bar.admin().await);
    let who = account(&guest).await;
    guest.ask("/orders/next").await.expect_problem(403, "not-permitted");
    let changed = change(&admin, &who, json!({ "role": "employee" })).await.expect(200);
    assert_eq!(
        (&changed["id"], &changed["role"], &changed["active"]),
        (&json!(who), &json!("employee"), &json!(true))
    );
    guest.ask("/orders/next").await.expect(204);
    guest.get("/users").await.expect_problem(403, "not-permitted");
    change(&admin, &who, json!({ "role": "admin" })).await.expect(200);
    guest.get("/users").await.expect(200);
    change(&admin, &who, json!({ "role": "customer" })).await.expect(200);
    guest.ask("/orders/next").await.expect_problem(403, "not-permitted");
    assert_eq!(guest.get("/me").await.expect(200)["role"], "customer");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_switched_off_is_out(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, admin) = (bar.guest().await, bar.admin().await);
    let me = guest.get("/me").await.expect(200);
    let (who, email) = (me["id"].as_str().unwrap(), me["email"].as_str().unwrap());
    assert_eq!(change(&admin, who, json!({ "active": false })).await.expect(200)["active"], false);
    guest.get("/me").await.expect_problem(401, "not-signed-in");
    guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect_problem(401, "not-signed-in");
    login(&bar, email, "a good password").await.expect_problem(403, "account-inactive");
    // Only who knows the password learns that there is such an account.
    login(&bar, email, "a wrong password").await.expect_problem(401, "wrong-password");
    change(&admin, who, json!({ "active": true })).await.expect(200);
    // That it was out ended its sessions for good.
    guest.get("/me").await.expect_problem(401, "not-signed-in");
    again(&bar, email).await.get("/me").await.expect(200);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_active_admin_stays(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, admin) = (bar.guest().await, bar.admin().await);
    let (guest_id, admin_id, email) = (account(&guest).await, account(&admin).await, email(&guest).await);
    let leaving = [
        json!({ "active": false }),
        json!({ "role": "employee" }),
        json!({ "role": "customer", "active": true }),
    ];
    for leave in &leaving {
        change(&admin, &admin_id, leave.clone()).await.expect_problem(409, "last-admin");
    }
    // An admin who is switched off does not count.
    change(&admin, &guest_id, json!({ "role": "admin", "active": false })).await.expect(200);
    for leave in &leaving {
        change(&admin, &admin_id, leave.clone()).await.expect_problem(409, "last-admin");
    }
    change(&admin, &admin_id, json!({ "role": "admin", "active": true })).await.expect(200);
    change(&admin, &guest_id, json!({ "active": true })).await.expect(200);
    let guest = again(&bar, &email).await;
    change(&guest, &admin_id, json!({ "role": "customer" })).await.expect(200);
    admin.get("/users").await.expect_problem(403, "not-permitted");
    change(&guest, &guest_id, json!({ "active": false })).await.expect_problem(409, "last-admin");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_admins_who_switch_each_other_off_one_stays(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let admin = bar.admin().await;
    let (ana, ben) = (bar.guest().await, bar.guest().await);
    let (ana_id, ben_id) = (account(&ana).await, account(&ben).await);
    let (ana_email, ben_email) = (email(&ana).await, email(&ben).await);
    for id in [&ana_id, &ben_id] {
        change(&admin, id, json!({ "role": "admin" })).await.expect(200);
    }
    change(&ana, &account(&admin).await, json!({ "role": "customer" })).await.expect(200);
    for _ in 0..10 {
        // Who was switched off has to sign in again.
        let (ana, ben) = (again(&bar, &ana_email).await, again(&bar, &ben_email).await);
        let off = || json!({ "active": false });
        let (first, second) = tokio::join!(change(&ana, &ben_id, off()), change(&ben, &ana_id, off()));
        assert_eq!(active_admins(&bar).await, 1, "{first:?} {second:?}");
        let (winner, loser, loser_id) =
            if first.status == 200 { (&ana, second, &ben_id) } else { (&ben, first, &ana_id) };
        // Either it was too late, or the account was off before it could ask.
        assert!([401, 409].contains(&loser.status), "answered {}: {}", loser.status, loser.text);
        change(winner, loser_id, json!({ "active": true })).await.expect(200);
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_makes_no_sense_is_refused() {
    let bar = Bar::open(Sqlite).await;
    let (guest, admin) = (bar.guest().await, bar.admin().await);
    let who = account(&guest).await;
    for (body, field) in [
        (json!({}), "role"),
        (json!({ "role": null, "active": null }), "role"),
        (json!({ "role": "owner" }), "role"),
        (json!({ "role": "Admin" }), "role"),
        (json!({ "role": 7 }), "role"),
        // What serde would take for the word.
        (json!({ "role": { "admin": null } }), "role"),
        (json!({ "active": "no" }), "active"),
        (json!({ "active": 0 }), "active"),
        (json!({ "email": "x@example.com" }), "email"),
        (json!({ "role": "admin", "password": "password123" }), "password"),
        (json!([]), "body"),
        (json!(["admin", true]), "body"),
    ] {
        let answer = change(&admin, &who, body.clone()).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.text);
        assert_eq!(answer.expect_problem(422, "invalid")["errors"][0]["field"], field, "{body}");
    }
    assert_eq!(guest.get("/me").await.expect(200)["role"], "customer");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_counts_at_every_serve_within_seconds() {
    let here = Bar::open(PostgreSql).await;
    let there = here.another().await;
    let (guest, admin) = (here.guest().await, here.admin().await);
    let (who, email, mut guest_there) = (account(&guest).await, email(&guest).await, guest.at(&there.url));
    guest_there.get("/me").await.expect(200);
    for (to, expected) in [
        (json!({ "role": "employee" }), 204),
        (json!({ "role": "customer" }), 403),
        (json!({ "active": false }), 401),
        (json!({ "active": true, "role": "admin" }), 204),
    ] {
        change(&admin, &who, to.clone()).await.expect(200);
        if to["active"] == true {
            guest_there = again(&here, &email).await.at(&there.url);
        }
        eventually(&format!("{to} at the other serve"), async || {
            (guest_there.ask("/orders/next").await.status == expected).then_some(())
        })
        .await;
    }
    there.close().await;
    // Also at one that starts after the change.
    change(&admin, &who, json!({ "active": false })).await.expect(200);
    let later = here.another().await;
    guest.at(&later.url).get("/me").await.expect_problem(401, "not-signed-in");
    later.close().await;
    here.close().await;
}
