//! The end of sessions: one or all of an account, at every `serve`.

use super::{GuestSession, guest, keep, refresh};
use crate::{
    accounts::again,
    support::{Bar, DatabaseKind, PostgreSql, Sqlite, eventually},
};
use chrono::TimeDelta;
use rstest::rstest;
use serde_json::json;
use shakerqueue::{domain::now, store::sessions};
use std::time::{Duration, Instant};

/// Limit on the time until every `serve` knows of a revocation.
const REVOCATION_TIMEOUT: Duration = Duration::from_secs(5);

async fn switch(bar: &Bar, email: &str, active: bool) {
    let admin = bar.admin().await;
    let users = admin.get("/users?limit=100").await.expect(200);
    let user = users["users"].as_array().unwrap().iter().find(|user| user["email"] == email).unwrap().clone();
    admin
        .patch(&format!("/users/{}", user["id"].as_str().unwrap()), json!({ "active": active }))
        .await
        .expect(200);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_refresh_token_ends_its_session_and_no_other(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let email = guest(&bar).await;
    let other = GuestSession::begin(&bar, &email).await;
    let first = GuestSession::begin(&bar, &email).await;
    let second = first.next(&bar).await;
    let third = second.goes_on(&bar).await;
    first.refresh(&bar).await.expect_problem(401, "session-ended");
    for login in [first, second, third] {
        login.has_ended(&bar).await;
    }
    other.goes_on(&bar).await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_out_is_out_at_once_with_this_session_only(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let email = guest(&bar).await;
    let (here, there) = (GuestSession::begin(&bar, &email).await, GuestSession::begin(&bar, &email).await);
    // Remembered, and out all the same.
    here.person.get("/me").await.expect(200);
    here.person.ask("/logout").await.expect(204);
    here.has_ended(&bar).await;
    here.person.ask("/logout").await.expect_problem(401, "not-signed-in");
    there.goes_on(&bar).await;
    again(&bar, &email).await.get("/me").await.expect(200);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_password_ends_the_other_sessions(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let email = guest(&bar).await;
    let (here, there) = (GuestSession::begin(&bar, &email).await, GuestSession::begin(&bar, &email).await);
    let stranger = GuestSession::begin(&bar, &guest(&bar).await).await;
    let change = json!({ "current_password": "a good password", "new_password": "another good one" });
    here.person.put("/me/password", change).await.expect(204);
    there.has_ended(&bar).await;
    here.goes_on(&bar).await;
    stranger.goes_on(&bar).await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_switched_off_loses_its_sessions_for_good(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let email = guest(&bar).await;
    let logins = [GuestSession::begin(&bar, &email).await, GuestSession::begin(&bar, &email).await];
    switch(&bar, &email, false).await;
    for login in &logins {
        login.has_ended(&bar).await;
    }
    switch(&bar, &email, true).await;
    for login in &logins {
        login.has_ended(&bar).await;
    }
    GuestSession::begin(&bar, &email).await.goes_on(&bar).await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_has_twenty_sessions_and_the_one_unused_for_longest_makes_room(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let email = guest(&bar).await;
    // With the one from registering.
    let mut logins = Vec::new();
    for _ in 0..19 {
        logins.push(GuestSession::begin(&bar, &email).await);
    }
    let used = logins[0].next(&bar).await;
    GuestSession::begin(&bar, &email).await;
    used.goes_on(&bar).await;
    let last = GuestSession::begin(&bar, &email).await;
    // At other processes a second later, and here.
    eventually("the end of the one that was out of use", async || {
        (logins[1].person.get("/me").await.status == 401).then_some(())
    })
    .await;
    logins[1].has_ended(&bar).await;
    for login in &logins[2..] {
        login.goes_on(&bar).await;
    }
    last.goes_on(&bar).await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_out_of_use_for_long_ends(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let login = GuestSession::begin(&bar, &guest(&bar).await).await;
    let mut session = login.stored(&bar).await;
    let days = (session.expires_at.0 - session.created_at.0).num_days();
    assert_eq!(days, 30);
    session.expires_at = now() + TimeDelta::minutes(1);
    keep(&bar, session).await;
    let next = login.next(&bar).await;
    let mut session = next.stored(&bar).await;
    assert_eq!(
        (session.expires_at.0 - session.rotated_at.0).num_days(),
        30,
        "used, it goes on as long again"
    );
    session.expires_at = now();
    keep(&bar, session).await;
    next.refresh(&bar).await.expect_problem(401, "session-ended");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_long_over_are_forgotten(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let email = guest(&bar).await;
    let (live, ended, expired) = (
        GuestSession::begin(&bar, &email).await,
        GuestSession::begin(&bar, &email).await,
        GuestSession::begin(&bar, &email).await,
    );
    ended.person.ask("/logout").await.expect(204);
    let mut session = expired.stored(&bar).await;
    session.expires_at = now() - TimeDelta::days(2);
    keep(&bar, session).await;
    let store = bar.database.store();
    let forget = |before| store.write(async move |conn| sessions::forget(conn, before, 10).await);
    assert_eq!(forget(now() - TimeDelta::days(1)).await.unwrap(), 1);
    assert_eq!(forget(now() + TimeDelta::minutes(1)).await.unwrap(), 1);
    store.close();
    refresh(&bar, &expired.refresh_token).await.expect_problem(401, "session-ended");
    live.goes_on(&bar).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_counts_at_every_serve_within_seconds() {
    let here = Bar::open(PostgreSql).await;
    let there = here.another().await;
    let email = guest(&here).await;
    for way in ["logout", "password", "reuse", "switched off"] {
        let login = GuestSession::begin(&here, &email).await;
        let next = login.next(&here).await;
        let elsewhere = login.person.at(&there.url);
        elsewhere.get("/me").await.expect(200);
        match way {
            "logout" => drop(login.person.ask("/logout").await.expect(204)),
            "password" => {
                let own = GuestSession::begin(&here, &email).await;
                let change = |old: &str, new: &str| json!({ "current_password": old, "new_password": new });
                for change in [
                    change("a good password", "another good one"),
                    change("another good one", "a good password"),
                ] {
                    own.person.put("/me/password", change).await.expect(204);
                }
            }
            "reuse" => {
                next.next(&here).await;
                login.refresh(&there).await.expect_problem(401, "session-ended");
            }
            _ => switch(&here, &email, false).await,
        }
        let ended = Instant::now();
        for person in [&login.person, &elsewhere] {
            eventually(&format!("the end by {way}"), async || {
                (person.get("/me").await.status == 401).then_some(())
            })
            .await;
        }
        assert!(ended.elapsed() < REVOCATION_TIMEOUT, "{way} took {:?}", ended.elapsed());
        // Nor at one that starts later.
        let later = here.another().await;
        next.person.at(&later.url).get("/me").await.expect_problem(401, "not-signed-in");
        later.close().await;
    }
    there.close().await;
    here.close().await;
}
