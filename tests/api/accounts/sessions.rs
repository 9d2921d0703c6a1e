//! Sessions: how they go on, and how they end.

use super::{again, email, login};
use crate::support::{
    Bar, Person,
    database::{Database, Kind},
    eventually, on_both,
    person::Answer,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use futures_util::{FutureExt, future::join_all};
use serde_json::{Value, json};
use shakerqueue::{
    domain::{ids::SessionId, now},
    store::sessions::{self, Session},
};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Within this time a change counts everywhere.
const EVERYWHERE: Duration = Duration::from_secs(5);

/// Somebody with a session of their own.
struct Visit {
    person: Person,
    refresh_token: String,
}

impl Visit {
    fn new(bar: &Bar, signed_in: &Value) -> Self {
        let text =
            |field: &str| signed_in[field].as_str().unwrap_or_else(|| panic!("no {field}: {signed_in}"));
        Self { person: bar.holder_of(text("token")), refresh_token: text("refresh_token").to_owned() }
    }

    /// A new session of a guest.
    async fn begin(bar: &Bar, email: &str) -> Self {
        Self::new(bar, &login(bar, email, "a good password").await.expect(200))
    }

    async fn refresh(&self, bar: &Bar) -> Answer {
        refresh(bar, &self.refresh_token).await
    }

    /// The same session with its next tokens.
    async fn next(&self, bar: &Bar) -> Self {
        Self::new(bar, &self.refresh(bar).await.expect(200))
    }

    /// Neither of its tokens counts any more.
    async fn has_ended(&self, bar: &Bar) {
        self.person.get("/me").await.expect_problem(401, "not-signed-in");
        self.refresh(bar).await.expect_problem(401, "session-ended");
    }

    async fn goes_on(&self, bar: &Bar) -> Self {
        self.person.get("/me").await.expect(200);
        self.next(bar).await
    }

    /// As it is stored.
    async fn stored(&self, bar: &Bar) -> Session {
        let (id, store) = (self.id(), bar.database.store());
        let found = store.write(move |conn| sessions::lock(conn, id).boxed()).await;
        store.close();
        found.unwrap().unwrap()
    }

    fn id(&self) -> SessionId {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&self.refresh_token).unwrap();
        SessionId(Uuid::from_slice(&bytes[..16]).unwrap())
    }

    fn claims(&self) -> Value {
        let payload = self.person.token().split('.').nth(1).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }
}

async fn refresh(bar: &Bar, token: &str) -> Answer {
    bar.stranger().post("/token/refresh", json!({ "refresh_token": token })).await
}

/// A guest's address.
async fn guest(bar: &Bar) -> String {
    email(&bar.guest().await).await
}

async fn switch(bar: &Bar, email: &str, active: bool) {
    let admin = bar.admin().await;
    let users = admin.get("/users?limit=100").await.expect(200);
    let user = users["users"].as_array().unwrap().iter().find(|user| user["email"] == email).unwrap().clone();
    admin
        .patch(&format!("/users/{}", user["id"].as_str().unwrap()), json!({ "active": active }))
        .await
        .expect(200);
}

on_both! {
    async fn a_session_goes_on_with_new_tokens(bar) {
        let email = guest(bar).await;
        let signed_in = login(bar, &email, "a good password").await.expect(200);
        assert_eq!(signed_in["expires_in"], 15 * 60);
        let (first, answer) = {
            let first = Visit::new(bar, &signed_in);
            let answer = first.refresh(bar).await;
            (first, answer)
        };
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let second = Visit::new(bar, &answer.body);
        assert_eq!((&answer.body["user"], &answer.body["expires_in"]), (&signed_in["user"], &signed_in["expires_in"]));
        assert_ne!(first.refresh_token, second.refresh_token);
        assert_eq!(first.claims()["sid"], second.claims()["sid"]);
        // An access token lasts until it expires.
        for visit in [&first, &second] {
            visit.person.get("/me").await.expect(200);
        }
        second.next(bar).await.goes_on(bar).await;
    }

    async fn an_old_refresh_token_ends_its_session_and_no_other(bar) {
        let email = guest(bar).await;
        let other = Visit::begin(bar, &email).await;
        let first = Visit::begin(bar, &email).await;
        let second = first.next(bar).await;
        let third = second.goes_on(bar).await;
        first.refresh(bar).await.expect_problem(401, "session-ended");
        for visit in [first, second, third] {
            visit.has_ended(bar).await;
        }
        other.goes_on(bar).await;
    }

    async fn a_lost_answer_and_two_windows_at_once_sign_nobody_out(bar) {
        let first = Visit::begin(bar, &guest(bar).await).await;
        let answers = join_all((0..8).map(|_| first.refresh(bar))).await;
        let next: Vec<_> = answers.into_iter().map(|answer| Visit::new(bar, &answer.expect(200))).collect();
        assert!(next.iter().all(|visit| visit.refresh_token == next[0].refresh_token));
        for visit in &next {
            visit.person.get("/me").await.expect(200);
        }
        next[0].goes_on(bar).await;
    }

    async fn but_not_for_long(bar) {
        let first = Visit::begin(bar, &guest(bar).await).await;
        let second = first.next(bar).await;
        let mut session = second.stored(bar).await;
        session.rotated_at = session.rotated_at - TimeDelta::seconds(30);
        keep(bar, session).await;
        first.refresh(bar).await.expect_problem(401, "session-ended");
        second.has_ended(bar).await;
    }

    async fn who_signs_out_is_out_at_once_with_this_session_only(bar) {
        let email = guest(bar).await;
        let (here, there) = (Visit::begin(bar, &email).await, Visit::begin(bar, &email).await);
        // Remembered, and out all the same.
        here.person.get("/me").await.expect(200);
        here.person.ask("/logout").await.expect(204);
        here.has_ended(bar).await;
        here.person.ask("/logout").await.expect_problem(401, "not-signed-in");
        there.goes_on(bar).await;
        again(bar, &email).await.get("/me").await.expect(200);
    }

    async fn another_password_ends_the_other_sessions(bar) {
        let email = guest(bar).await;
        let (here, there) = (Visit::begin(bar, &email).await, Visit::begin(bar, &email).await);
        let stranger = Visit::begin(bar, &guest(bar).await).await;
        let change = json!({ "current_password": "a good password", "new_password": "another good one" });
        here.person.put("/me/password", change).await.expect(204);
        there.has_ended(bar).await;
        here.goes_on(bar).await;
        stranger.goes_on(bar).await;
    }

    async fn an_account_that_is_switched_off_loses_its_sessions_for_good(bar) {
        let email = guest(bar).await;
        let visits = [Visit::begin(bar, &email).await, Visit::begin(bar, &email).await];
        switch(bar, &email, false).await;
        for visit in &visits {
            visit.has_ended(bar).await;
        }
        switch(bar, &email, true).await;
        for visit in &visits {
            visit.has_ended(bar).await;
        }
        Visit::begin(bar, &email).await.goes_on(bar).await;
    }

    async fn a_new_token_has_the_role_of_now(bar) {
        let email = guest(bar).await;
        let visit = Visit::begin(bar, &email).await;
        assert_eq!(visit.claims()["role"], "customer");
        let id = visit.person.get("/me").await.expect(200)["id"].as_str().unwrap().to_owned();
        bar.admin().await.patch(&format!("/users/{id}"), json!({ "role": "employee" })).await.expect(200);
        let answer = visit.refresh(bar).await.expect(200);
        assert_eq!(answer["user"]["role"], "employee");
        assert_eq!(Visit::new(bar, &answer).claims()["role"], "employee");
    }

    async fn an_account_has_twenty_sessions_and_the_one_unused_for_longest_makes_room(bar) {
        let email = guest(bar).await;
        // With the one from registering.
        let mut visits = Vec::new();
        for _ in 0..19 {
            visits.push(Visit::begin(bar, &email).await);
        }
        let used = visits[0].next(bar).await;
        Visit::begin(bar, &email).await;
        used.goes_on(bar).await;
        let last = Visit::begin(bar, &email).await;
        // At other processes a second later, and here.
        eventually("the end of the one that was out of use", async || {
            (visits[1].person.get("/me").await.status == 401).then_some(())
        }).await;
        visits[1].has_ended(bar).await;
        for visit in &visits[2..] {
            visit.goes_on(bar).await;
        }
        last.goes_on(bar).await;
    }

    async fn a_session_that_is_out_of_use_for_long_ends(bar) {
        let visit = Visit::begin(bar, &guest(bar).await).await;
        let mut session = visit.stored(bar).await;
        let days = (session.expires_at.0 - session.created_at.0).num_days();
        assert_eq!(days, 30);
        session.expires_at = now() + TimeDelta::minutes(1);
        keep(bar, session).await;
        let next = visit.next(bar).await;
        let mut session = next.stored(bar).await;
        assert_eq!((session.expires_at.0 - session.rotated_at.0).num_days(), 30, "used, it goes on as long again");
        session.expires_at = now();
        keep(bar, session).await;
        next.refresh(bar).await.expect_problem(401, "session-ended");
    }

    async fn no_refresh_token_is_stored(bar) {
        let first = Visit::begin(bar, &guest(bar).await).await;
        let second = first.next(bar).await;
        let stored = format!("{:?}", second.stored(bar).await);
        for visit in [first, second] {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(&visit.refresh_token).unwrap();
            let secret = format!("{:?}", &bytes[16..]);
            assert!(!stored.contains(&secret[1..secret.len() - 1]), "{stored}");
        }
    }

    async fn what_is_no_refresh_token_is_refused(bar) {
        let good = Visit::begin(bar, &guest(bar).await).await;
        let malformed = ["", "rubbish", &good.refresh_token[1..], &format!("{}=", good.refresh_token), good.person.token()].map(Value::from);
        for value in malformed.into_iter().chain([Value::Null, json!(7), json!([good.refresh_token])]) {
            let answer = bar.stranger().post("/token/refresh", json!({ "refresh_token": value })).await;
            let problem = answer.expect_problem(422, "invalid");
            assert_eq!(problem["errors"][0]["pointer"], "#/refresh_token", "{value}: {problem}");
        }
        let other = BASE64_URL_SAFE_NO_PAD.encode([7; 48]);
        let refused = refresh(bar, &other).await;
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        refused.expect_problem(401, "session-ended");
        // A refresh token signs nobody in, and an access token gets no other.
        bar.holder_of(&good.refresh_token).get("/me").await.expect_problem(401, "not-signed-in");
        good.goes_on(bar).await;
    }

    async fn sessions_that_are_long_over_are_forgotten(bar) {
        let email = guest(bar).await;
        let (live, ended, expired) = (Visit::begin(bar, &email).await, Visit::begin(bar, &email).await, Visit::begin(bar, &email).await);
        ended.person.ask("/logout").await.expect(204);
        let mut session = expired.stored(bar).await;
        session.expires_at = now() - TimeDelta::days(2);
        keep(bar, session).await;
        let store = bar.database.store();
        let forget = |before| store.write(move |conn| sessions::forget(conn, before, 10).boxed());
        assert_eq!(forget(now() - TimeDelta::days(1)).await.unwrap(), 1);
        assert_eq!(forget(now() + TimeDelta::minutes(1)).await.unwrap(), 1);
        store.close();
        refresh(bar, &expired.refresh_token).await.expect_problem(401, "session-ended");
        live.goes_on(bar).await;
    }
}

/// Stores a session as it is given.
async fn keep(bar: &Bar, session: Session) {
    let store = bar.database.store();
    store.write(move |conn| async move { sessions::renew(conn, &session).await }.boxed()).await.unwrap();
    store.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_counts_at_every_serve_within_seconds() {
    let here = Bar::open(Kind::Postgres).await;
    let there = here.another().await;
    let email = guest(&here).await;
    for way in ["logout", "password", "reuse", "switched off"] {
        let visit = Visit::begin(&here, &email).await;
        let next = visit.next(&here).await;
        let elsewhere = visit.person.at(&there.url);
        elsewhere.get("/me").await.expect(200);
        match way {
            "logout" => drop(visit.person.ask("/logout").await.expect(204)),
            "password" => {
                let own = Visit::begin(&here, &email).await;
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
                visit.refresh(&there).await.expect_problem(401, "session-ended");
            }
            _ => switch(&here, &email, false).await,
        }
        let ended = Instant::now();
        for person in [&visit.person, &elsewhere] {
            eventually(&format!("the end by {way}"), async || {
                (person.get("/me").await.status == 401).then_some(())
            })
            .await;
        }
        assert!(ended.elapsed() < EVERYWHERE, "{way} took {:?}", ended.elapsed());
        // Nor at one that starts later.
        let later = here.another().await;
        next.person.at(&later.url).get("/me").await.expect_problem(401, "not-signed-in");
        later.close().await;
    }
    there.close().await;
    here.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_outlive_a_restart_and_another_secret() {
    let bar = Bar::open(Kind::Sqlite).await;
    let email = guest(&bar).await;
    let (visit, ended) = (Visit::begin(&bar, &email).await, Visit::begin(&bar, &email).await);
    ended.person.ask("/logout").await.expect(204);
    let database = bar.shut().await;
    let secret = [
        "--jwt-secret",
        "another secret for tests, long enough",
        "--jwt-previous-secrets",
        crate::support::bar::SECRET,
    ];
    let bar = Bar::open_on(Database::lent(&database), &secret).await;
    let ended = Visit { person: ended.person.at(&bar.url), ..ended };
    ended.has_ended(&bar).await;
    Visit { person: visit.person.at(&bar.url), ..visit }.goes_on(&bar).await;
    bar.close().await;
}
