//! Timing of wrong passwords: it does not reveal if an account exists.

use super::{LOGIN_LIMIT_FLAGS, registration, stranger_at};
use crate::support::{Bar, DatabaseKind, Person, PostgreSql, Sqlite};
use rstest::rstest;
use serde_json::json;
use std::{
    cmp::Ordering,
    time::{Duration, Instant},
};

/// Measurements of each kind, in turn with the others.
const ROUNDS: usize = 16;
/// Repetitions of the whole measurement. A busy machine may favour one kind once; only a defect does so each time.
const MAX_ATTEMPTS: u8 = 3;
/// States of the account whose password is wrong. The others are compared with the first.
const ACCOUNT_STATES: [&str; 3] = ["nobody", "current", "outdated"];
/// Cost of the hashes: each step doubles the work.
const BCRYPT_COST: &str = "7";

/// Wrong passwords: the second is compared in two forms, as it was typed and normalized.
const WRONG_PASSWORDS: [&str; 2] = ["a wrong password", "a wro\u{308}ng password"];

async fn wrong(who: &Person, email: &str, password: &str) -> Duration {
    let began = Instant::now();
    let answer = who.post("/login", json!({ "email": email, "password": password })).await;
    let took = began.elapsed();
    answer.expect_problem(401, "wrong-password");
    took
}

/// Measures the times by kind and round.
async fn measure(bar: &Bar, number: u8, password: &str) -> [Vec<Duration>; 3] {
    // Each from an address of its own, so that no pause comes of it.
    let stranger = stranger_at(bar, &format!("203.0.113.{number}"));
    let mut times = [const { Vec::new() }; 3];
    wrong(&stranger, "warming.up@bar.example", password).await;
    for round in 0..ROUNDS {
        for place in 0..ACCOUNT_STATES.len() {
            // Each kind comes first, second and last equally often.
            let kind = (place + round) % ACCOUNT_STATES.len();
            let email = format!("{}{round}@bar.example", ACCOUNT_STATES[kind]);
            times[kind].push(wrong(&stranger, &email, password).await);
        }
    }
    times
}

fn median(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// Compares times round by round. If two kinds take equally long, chance decides which is slower in a round:
/// one time in two thousand it is the same one in all rounds except one. Then the difference must also be large.
fn told_apart(nobody: &[Duration], other: &[Duration]) -> Option<String> {
    let longer =
        nobody.iter().zip(other).filter(|(nobody, other)| other.cmp(nobody) == Ordering::Greater).count();
    let (nobody, other) = (median(nobody), median(other));
    let by_chance = (2..=ROUNDS - 2).contains(&longer) || (nobody - other).abs() < 0.15 * nobody;
    (!by_chance).then(|| {
        format!("longer in {longer} of {ROUNDS} rounds, {:.1} ms against {:.1} ms", other * 1e3, nobody * 1e3)
    })
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_learns_from_the_time_whether_there_is_an_account(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    // Made at the least cost, and looked at where it has risen.
    let dearer = Bar::open_on(
        bar.database.lent(),
        &[&LOGIN_LIMIT_FLAGS[..], &["--bcrypt-cost", BCRYPT_COST]].concat(),
    )
    .await;
    for (kind, at) in [("current", &dearer), ("outdated", &bar)] {
        for round in 0..ROUNDS {
            let account =
                registration("Ana", &format!("{kind}{round}@bar.example"), "five limes and a spoon");
            at.stranger().post("/register", account).await.expect(201);
        }
    }
    for (password, first) in WRONG_PASSWORDS.into_iter().zip([1, 1 + MAX_ATTEMPTS]) {
        let mut told: Vec<Vec<String>> = Vec::new();
        for number in first..first + MAX_ATTEMPTS {
            let [nobody, known @ ..] = measure(&dearer, number, password).await;
            told.push(known.iter().filter_map(|times| told_apart(&nobody, times)).collect());
            if told.last().is_some_and(Vec::is_empty) {
                break;
            }
        }
        let by_chance = told.len() < usize::from(MAX_ATTEMPTS) || told.last().is_some_and(Vec::is_empty);
        assert!(by_chance, "{password:?}, each time: {told:?}");
    }
    dearer.close().await;
    bar.close().await;
}
