//! Guessing of passwords: wrong ones delay the following attempts, and lock nobody out for good.

use super::{LOGIN_LIMIT_FLAGS, email, login, registration, stranger_at};
use crate::support::{
    Bar, DatabaseKind, Person, PostgreSql, Sqlite, bar::SECRET, database::Database, eventually,
    person::Answer,
};
use chrono::TimeDelta;
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::json;
use shakerqueue::{
    domain::now,
    services::accounts::LoginThrottle,
    store::login_attempts::{self, Attempts},
};

const WRONG_PASSWORD: &str = "a wrong password";
const RIGHT_PASSWORD: &str = "a good password";

/// Wrong passwords before throttling starts. On a slow machine the first delays may be over by the tenth.
const FREE_ATTEMPTS: usize = 5;
const THROTTLED_ATTEMPTS: usize = FREE_ATTEMPTS + 5;

/// Addresses of the bar's guests and of an attacker.
const GUEST_ADDRESS: &str = "127.0.0.1";
const OTHER_ADDRESS: &str = "203.0.113.7";

/// Opens a bar that throttles logins.
async fn counting(database: DatabaseKind) -> Bar {
    Bar::open_on(Database::new(database).await, &LOGIN_LIMIT_FLAGS).await
}

/// Registers a guest and returns the e-mail address.
async fn guest(bar: &Bar) -> String {
    email(&bar.guest().await).await
}

async fn tries(who: &Person, email: &str, password: &str) -> Answer {
    who.post("/login", json!({ "email": email, "password": password })).await
}

/// Repeats a login until it is throttled, and returns the number of attempts before.
async fn until_slowed(mut ask: impl AsyncFnMut() -> Answer, wrong: u16) -> usize {
    for looked_at in 0..=THROTTLED_ATTEMPTS {
        let answer = ask().await;
        if answer.status != wrong {
            has_to_wait(&answer);
            return looked_at;
        }
    }
    panic!("{THROTTLED_ATTEMPTS} wrong passwords, and no pause");
}

/// Records wrong logins from this address, in turn for each of these accounts; the first was `seconds` ago.
async fn guess(bar: &Bar, emails: &[String], address: &str, attempts: usize, seconds: i64) {
    let guard = LoginThrottle::new(&SECRET.into(), true);
    let guesses: Vec<_> =
        emails.iter().map(|email| guard.login(email, address.parse().unwrap()).unwrap()).collect();
    let store = bar.database.store();
    let guessing = store.write(async move |conn| {
        let mut at = now() - TimeDelta::seconds(seconds);
        for guess in guesses.iter().cycle().take(attempts) {
            while let Some(wait) = guess.charge(conn, at).await? {
                at = at + wait;
            }
        }
        Ok(())
    });
    guessing.await.unwrap();
    store.close();
}

/// Records wrong logins until the longest delay for an account has begun.
async fn exhaust(bar: &Bar, email: &str, address: &str) {
    // As long as all the pauses before the last one take.
    guess(bar, &[email.to_owned()], address, 11, 1 + 2 + 4 + 8 + 16 + 32).await;
}

#[track_caller]
fn has_to_wait(answer: &Answer) {
    assert_eq!(answer.status, 429, "{}", answer.text);
    assert_eq!(answer.body["type"], "/problems/too-many-failures");
    let seconds: u64 = answer.header("retry-after").expect("how long").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds} s");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_some_wrong_passwords_the_next_one_waits_and_the_right_one_ends_it(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = counting(database).await;
    let email = guest(&bar).await;
    for _ in 0..2 {
        assert!(until_slowed(async || login(&bar, &email, WRONG_PASSWORD).await, 401).await >= FREE_ATTEMPTS);
        eventually("the end of the pause", async || {
            let answer = login(&bar, &email, RIGHT_PASSWORD).await;
            if answer.status == 429 {
                has_to_wait(&answer);
            }
            (answer.status == 200).then_some(())
        })
        .await;
    }
    // Whether it is right is not looked at.
    exhaust(&bar, &email, GUEST_ADDRESS).await;
    has_to_wait(&login(&bar, &email, RIGHT_PASSWORD).await);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_set_back_makes_no_pause_longer(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = counting(database).await;
    let email = guest(&bar).await;
    // An hour ahead; the pause after five is 1 s.
    guess(&bar, std::slice::from_ref(&email), GUEST_ADDRESS, FREE_ATTEMPTS, -3600).await;
    has_to_wait(&login(&bar, &email, RIGHT_PASSWORD).await);
    eventually("the end of the pause", async || {
        (login(&bar, &email, RIGHT_PASSWORD).await.status == 200).then_some(())
    })
    .await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_looked_at_did_not_fail(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = counting(database).await;
    let email = guest(&bar).await;
    guess(&bar, std::slice::from_ref(&email), OTHER_ADDRESS, FREE_ATTEMPTS - 1, 0).await;
    let attempt =
        LoginThrottle::new(&SECRET.into(), true).login(&email, GUEST_ADDRESS.parse().unwrap()).unwrap();
    let store = bar.database.store();
    for _ in 0..2 * FREE_ATTEMPTS {
        let attempt = attempt.clone();
        let charging = store.write(async move |conn| {
            let wait = attempt.charge(conn, now()).await?;
            attempt.refund(conn, now()).await?;
            Ok(wait)
        });
        assert_eq!(charging.await.unwrap(), None);
    }
    store.close();
    login(&bar, &email, RIGHT_PASSWORD).await.expect(200);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_not_there_is_treated_like_one_that_is(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = counting(database).await;
    let (there, stranger) = (guest(&bar).await, stranger_at(&bar, OTHER_ADDRESS));
    let mut told = Vec::new();
    for email in [there.as_str(), "nobody@bar.example", "no address at all"] {
        exhaust(&bar, email, OTHER_ADDRESS).await;
        // One address in two ways is one account.
        let mut answer = tries(&stranger, &email.to_uppercase(), RIGHT_PASSWORD).await;
        has_to_wait(&answer);
        let body = answer.body.as_object_mut().unwrap();
        // How many seconds are left.
        for varies in ["request_id", "detail"] {
            body.remove(varies);
        }
        told.push((answer.body, answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>()));
    }
    assert!(told.iter().all(|answer| *answer == told[0]), "{told:?}");
    for email in ["nobody2@bar.example", "no address either"] {
        assert!(
            until_slowed(async || tries(&stranger, email, WRONG_PASSWORD).await, 401).await >= FREE_ATTEMPTS
        );
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_guesses_at_once_as_many_are_looked_at_as_one_after_the_other(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = counting(database).await;
    let (email, stranger) = (guest(&bar).await, stranger_at(&bar, OTHER_ADDRESS));
    let answers = join_all((0..25).map(|_| tries(&stranger, &email, WRONG_PASSWORD))).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    assert!((FREE_ATTEMPTS..=THROTTLED_ATTEMPTS).contains(&looked_at), "{answers:?}");
    answers.iter().filter(|answer| answer.status != 401).for_each(has_to_wait);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_guesses_elsewhere_does_not_keep_the_owner_waiting(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = counting(database).await;
    let (email, attacker) = (guest(&bar).await, stranger_at(&bar, OTHER_ADDRESS));
    exhaust(&bar, &email, OTHER_ADDRESS).await;
    // The owner has not signed in there.
    has_to_wait(&tries(&stranger_at(&bar, "203.0.113.8"), &email, RIGHT_PASSWORD).await);
    login(&bar, &email, RIGHT_PASSWORD).await.expect(200);
    // Which gives the attacker nothing.
    has_to_wait(&tries(&attacker, &email, RIGHT_PASSWORD).await);
    // At the owner's address guesses are as few as anywhere.
    assert!(until_slowed(async || login(&bar, &email, WRONG_PASSWORD).await, 401).await >= FREE_ATTEMPTS);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_who_is_signed_in_stays_so_whatever_others_guess(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = counting(database).await;
    let ana = "ana@tiki.example";
    let registered =
        bar.stranger().post("/register", registration("Ana", ana, RIGHT_PASSWORD)).await.expect(201);
    for address in [GUEST_ADDRESS, OTHER_ADDRESS] {
        exhaust(&bar, ana, address).await;
        has_to_wait(&tries(&stranger_at(&bar, address), ana, RIGHT_PASSWORD).await);
    }
    let token = json!({ "refresh_token": registered["refresh_token"] });
    let next = bar.stranger().post("/token/refresh", token).await.expect(200);
    let change = json!({ "current_password": RIGHT_PASSWORD, "new_password": "another good one" });
    bar.holder_of(next["token"].as_str().unwrap()).put("/me/password", change).await.expect(204);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_holder_of_a_token_can_not_guess_at_the_password_either(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = counting(database).await;
    let (guest, other) = (bar.guest().await, bar.guest().await);
    let change = |old: &str| json!({ "current_password": old, "new_password": "another good one" });
    assert!(
        until_slowed(async || guest.put("/me/password", change(WRONG_PASSWORD)).await, 403).await
            >= FREE_ATTEMPTS
    );
    other.put("/me/password", change(RIGHT_PASSWORD)).await.expect(204);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_tries_many_accounts_waits_but_for_those_known_there(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = counting(database).await;
    let (email, attacker) = (guest(&bar).await, stranger_at(&bar, OTHER_ADDRESS));
    let many: Vec<_> = (0..105).map(|number| format!("{number}@bar.example")).collect();
    for address in [GUEST_ADDRESS, OTHER_ADDRESS] {
        guess(&bar, &many, address, 99, 0).await;
        let (stranger, mut others) = (stranger_at(&bar, address), 0..);
        let slowed = until_slowed(
            async || tries(&stranger, &format!("other{:?}@bar.example", others.next()), WRONG_PASSWORD).await,
            401,
        );
        assert!(slowed.await >= 1);
        // As if the longest pause had begun.
        guess(&bar, &many, address, 105, 1 + 2 + 4 + 8 + 16).await;
        has_to_wait(&tries(&stranger, "a.third@bar.example", WRONG_PASSWORD).await);
    }
    has_to_wait(&tries(&attacker, &email, RIGHT_PASSWORD).await);
    login(&bar, &email, RIGHT_PASSWORD).await.expect(200);
    // To know a password of one's own gives no more guesses at others.
    has_to_wait(&login(&bar, "a.third@bar.example", WRONG_PASSWORD).await);
    let third = stranger_at(&bar, "203.0.113.8");
    tries(&third, "a.third@bar.example", WRONG_PASSWORD).await.expect_problem(401, "wrong-password");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_means_nothing_any_more_is_forgotten(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let store = bar.database.store();
    let attempts = Attempts { failures: 1, failed_at: now(), succeeded_at: None };
    for (name, forget_at) in [("old", now()), ("new", now() + TimeDelta::minutes(5))] {
        let keep = store
            .write(async move |conn| login_attempts::keep(conn, name.as_bytes(), &attempts, forget_at).await);
        keep.await.unwrap();
    }
    let forget = || store.write(async |conn| login_attempts::forget(conn, now(), 10).await);
    assert_eq!((forget().await.unwrap(), forget().await.unwrap()), (1, 0));
    store.close();
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_count_at_every_serve_and_after_a_restart() {
    let here = counting(PostgreSql).await;
    let there = Bar::open_on(here.database.lent(), &LOGIN_LIMIT_FLAGS).await;
    let (email, attacker) = (guest(&here).await, stranger_at(&here, OTHER_ADDRESS));
    let mut both = [attacker.at(&here.url), attacker.at(&there.url)].into_iter().cycle();
    let looked_at =
        until_slowed(async || tries(&both.next().unwrap(), &email, WRONG_PASSWORD).await, 401).await;
    assert!(looked_at >= FREE_ATTEMPTS);
    exhaust(&here, &email, OTHER_ADDRESS).await;
    for url in [&here.url, &there.url] {
        has_to_wait(&tries(&attacker.at(url), &email, RIGHT_PASSWORD).await);
    }
    there.close().await;
    let later = Bar::open_on(here.shut().await, &LOGIN_LIMIT_FLAGS).await;
    has_to_wait(&tries(&attacker.at(&later.url), &email, RIGHT_PASSWORD).await);
    later.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_tests_can_switch_it_off() {
    let bar = Bar::open(Sqlite).await;
    let email = guest(&bar).await;
    for _ in 0..2 * THROTTLED_ATTEMPTS {
        login(&bar, &email, WRONG_PASSWORD).await.expect_problem(401, "wrong-password");
    }
    login(&bar, &email, RIGHT_PASSWORD).await.expect(200);
    bar.close().await;
}
