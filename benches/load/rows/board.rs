//! Measures how soon the board shows an accepted order, while orders come at a fixed rate.

use super::{Bench, Goal, Measurement, peak};
use crate::{
    client::{Client, Load, orders},
    figures::{Curve, Figure, Times, micros, percentile_ms, times},
    harness::{Result, tokens::Tokens},
    stage::{Stage, System},
};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep, sleep_until},
};

const DURATION: Duration = Duration::from_secs(8);
const WARM_UP: Duration = Duration::from_secs(2);
/// Interval between orders that are followed.
const PLACE_INTERVAL: Duration = Duration::from_millis(50);
/// Interval between looks at a followed order.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, rounds } = bench;
    let rate = peak(stage).await? / 2.0;
    let mut p99 = Figure::new("ms");
    let mut all = times();
    for _ in 0..rounds {
        let system = stage.scaled_out(1).await?;
        let requests = orders(&system.tokens.guest, stage.drinks());
        let load = Load::open(system.serve.address, requests, rate, WARM_UP + DURATION);
        let (answers, seen) = tokio::try_join!(load.send(), follow(stage, &system))?;
        answers.only(&[201, 202])?;
        p99.rounds.push(percentile_ms(&seen, 99.0));
        all.add(&seen)?;
        system.stop(stage).await?;
    }
    Ok(vec![
        Measurement::value("accepted to visible, p99", p99, Goal::AtMost(100.0))
            .with_parts(&[("orders come at", &Figure::single("orders/s", rate))])
            .with_curves([Curve::of(format!("accepted to visible, {rate:.0} orders/s"), &all)]),
    ])
}

/// Places orders at a fixed rate, and looks at each until it is pending, which puts it on the board.
async fn follow(stage: &Stage, system: &System) -> Result<Times> {
    let begun = Instant::now();
    let drink = stage.drinks().first().ok_or("no menu")?;
    let mut followed = JoinSet::new();
    sleep_until(begun + WARM_UP).await;
    let mut next = interval(PLACE_INTERVAL);
    while begun.elapsed() < WARM_UP + DURATION {
        next.tick().await;
        // Each is followed on its own: a slow one must not keep others from being counted.
        let order = json!({ "recipe": drink, "table": "7" }).to_string();
        let (address, tokens) = (system.serve.address, system.tokens.clone());
        followed.spawn(async move {
            follow_one(address, &tokens, order).await.map_err(|error| error.to_string())
        });
    }
    let mut seen = times();
    while let Some(took) = followed.join_next().await {
        seen.record(micros(took??))?;
    }
    Ok(seen)
}

/// Measures from an order's answer until the order can be seen.
async fn follow_one(address: SocketAddr, tokens: &Tokens, order: String) -> Result<Duration> {
    let mut guest = Client::connect(address, &tokens.guest).await?;
    let mut bartender = Client::connect(address, &tokens.bartender).await?;
    let (_, order) = guest.ask("POST", "/orders", order).await?;
    let accepted = Instant::now();
    let order = format!("/orders/{}", order.get("id").and_then(Value::as_str).ok_or("no id")?);
    // Nobody works this board, so it has tens of thousands of orders: the row asks for the one order, not for the list.
    loop {
        let order = bartender.expect(200, "GET", &order, String::new()).await?;
        if order.get("status").is_some_and(|status| status == "pending") {
            return Ok(accepted.elapsed());
        }
        if accepted.elapsed() > WAIT_TIMEOUT {
            return Err("the board does not show an order".into());
        }
        sleep(LOOK_INTERVAL).await;
    }
}
