//! Orders at a fixed rate, alone and while as many people sign in as the machine can bear.

use super::{Bench, Goal, Measurement, peak};
use crate::{
    client::{Client, Load, Requests, orders, request},
    figures::{Curve, Figure, Times, percentile_ms, times},
    harness::Result,
    stage::{Stage, System},
};
use std::{sync::Arc, time::Duration};

const DURATION: Duration = Duration::from_secs(6);
/// Concurrent sign-ins: more than are let in.
const CONCURRENT_LOGINS: usize = 64;
/// Accounts that sign in: with few, most attempts would be throttled, as guesses at one account are.
const ACCOUNTS: u64 = 1000;
/// Pause of a client that was told to come again later, as `Retry-After` asks.
const LOGIN_PAUSE: Duration = Duration::from_secs(2);

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, rounds } = bench;
    // The machine must have room for logins.
    let rate = peak(stage).await? / 4.0;
    let [mut alone, mut beside, mut beside_rude] = [(); 3].map(|()| Figure::new("ms"));
    let [mut signed_in, mut refused] = [(); 2].map(|()| Figure::new("/s"));
    let (mut all_alone, mut all_beside) = (times(), times());
    let note = |figure: &mut Figure, all: &mut Times, times: &Times| {
        figure.rounds.push(percentile_ms(times, 99.0));
        all.add(times)
    };
    for _ in 0..rounds {
        let system = stage.scaled_out(1).await?;
        register(stage, &system).await?;
        let load =
            Load::open(system.serve.address, orders(&system.tokens.guest, stage.drinks()), rate, DURATION);
        let answers = load.clone().send().await?.only(&[201, 202])?;
        note(&mut alone, &mut all_alone, &answers.times)?;
        let (answers, logins) = tokio::try_join!(load.clone().send(), storm(&system, LOGIN_PAUSE))?;
        note(&mut beside, &mut all_beside, &answers.only(&[201, 202])?.times)?;
        let logins = logins.only(&[200, 503])?;
        signed_in.rounds.push(logins.per_second(200));
        refused.rounds.push(logins.per_second(503));
        let (answers, _) = tokio::try_join!(load.send(), storm(&system, Duration::ZERO))?;
        beside_rude.rounds.push(percentile_ms(&answers.only(&[201, 202])?.times, 99.0));
        system.stop(stage).await?;
    }
    Ok(vec![
        Measurement::ratio("order p99 beside logins against without", beside, alone, Goal::AtMost(2.0))
            .with_parts(&[
                ("orders come at", &Figure::single("orders/s", rate)),
                ("signed in", &signed_in),
                ("told to come again later", &refused),
                ("beside those who come again at once", &beside_rude),
            ])
            .with_curves([
                Curve::of(format!("POST /orders, {rate:.0} orders/s"), &all_alone),
                Curve::of("the same beside logins", &all_beside),
            ]),
    ])
}

/// Creates accounts with one hash of the product's cost: a demo account's hash is cheap until its first sign-in.
async fn register(stage: &Stage, system: &System) -> Result<()> {
    let body = r#"{"username":"regular","email":"0@example.com","password":"five limes and a spoon"}"#;
    let mut client = Client::connect(system.serve.address, &system.tokens.guest).await?;
    client.expect(201, "POST", "/register", body.to_owned()).await?;
    let others = format!(
        "INSERT INTO users (id, username, email, role, active, created_at, access_changed_at, password_hash)
         SELECT gen_random_uuid(), username, n || '@example.com', role, active, created_at, created_at, password_hash
         FROM users, generate_series(1, {ACCOUNTS} - 1) AS n WHERE email = '0@example.com'"
    );
    Ok(stage.client(&system.database).await?.batch_execute(&others).await?)
}

/// Pause after an answer that asks to come again later.
async fn storm(system: &System, rest: Duration) -> Result<crate::client::Answers> {
    let logins: Requests = Arc::new(|number| {
        let email = format!("{}@example.com", number % ACCOUNTS);
        let body = format!(r#"{{"email":"{email}","password":"five limes and a spoon"}}"#);
        request("POST", "/login", None, body)
    });
    let mut load =
        Load::closed(system.serve.address, logins, CONCURRENT_LOGINS, DURATION + Duration::from_secs(1));
    load.rest_when_refused = rest;
    load.send().await
}
