//! Measures how soon a guest's own stream has an accepted order, while orders come at a fixed rate.

use super::{Bench, Goal, Measurement, peak};
use crate::{
    client::{Client, Load, orders},
    figures::{Curve, Figure, Times, micros, percentile_ms, times},
    harness::Result,
    stage::{Stage, System},
    streams::{Streams, register},
};
use serde_json::{Value, json};
use std::{collections::HashMap, net::SocketAddr, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep},
};

const STREAMS: usize = 100;
const DURATION: Duration = Duration::from_secs(8);
const WARM_UP: Duration = Duration::from_secs(2);
/// Interval between orders that are followed, each of another guest.
const PLACE_INTERVAL: Duration = Duration::from_millis(50);
/// Time that the last event may take.
const LAST_EVENT_TIMEOUT: Duration = Duration::from_secs(5);

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, rounds } = bench;
    let rate = peak(stage).await? / 2.0;
    let mut p99 = Figure::new("ms");
    let mut all = times();
    for _ in 0..rounds {
        let system = stage.scaled_out(1).await?;
        let guests = register(system.serve.address, STREAMS).await?;
        let streams = Streams::open(system.serve.address, &guests).await?;
        let requests = orders(&system.tokens.guest, stage.drinks());
        let load = Load::open(system.serve.address, requests, rate, WARM_UP + DURATION);
        let (answers, seen) = tokio::try_join!(load.send(), follow(stage, &system, &guests, streams))?;
        answers.only(&[201, 202])?;
        p99.rounds.push(percentile_ms(&seen, 99.0));
        all.add(&seen)?;
        system.stop(stage).await?;
    }
    Ok(vec![
        Measurement::value("accepted to visible in the guest's stream, p99", p99, Goal::AtMost(100.0))
            .with_parts(&[("orders come at", &Figure::single("orders/s", rate))])
            .with_curves([Curve::of(format!("accepted to the guest's stream, {rate:.0} orders/s"), &all)]),
    ])
}

/// Places an order of each guest in turn, and measures from its answer until its event.
async fn follow(stage: &Stage, system: &System, guests: &[String], mut streams: Streams) -> Result<Times> {
    let begun = Instant::now();
    let drink = stage.drinks().first().ok_or("no menu")?;
    let body = json!({ "recipe": drink, "table": "7" }).to_string();
    sleep(WARM_UP).await;
    let mut next = interval(PLACE_INTERVAL);
    let mut placing = JoinSet::new();
    for token in guests.iter().cycle() {
        next.tick().await;
        if begun.elapsed() >= WARM_UP + DURATION {
            break;
        }
        // Each on its own: a slow one must not keep others from being placed.
        let (address, token, body) = (system.serve.address, token.clone(), body.clone());
        placing.spawn(async move { place(address, &token, body).await.map_err(|error| error.to_string()) });
    }
    let mut accepted = HashMap::new();
    while let Some(placed) = placing.join_next().await {
        let (id, at) = placed??;
        accepted.insert(id, at);
    }
    let mut seen = times();
    for (arrival, order) in streams.orders(LAST_EVENT_TIMEOUT).await {
        if let Some(at) = accepted.remove(&order.id) {
            // An event may come before the answer.
            seen.record(micros(arrival.at.saturating_duration_since(at)))?;
        }
    }
    if accepted.is_empty() { Ok(seen) } else { Err(format!("{} orders had no event", accepted.len()).into()) }
}

/// Returns the id of a new order, and the time of its answer.
async fn place(address: SocketAddr, token: &str, order: String) -> Result<(String, Instant)> {
    let mut guest = Client::connect(address, token).await?;
    let (status, order) = guest.ask("POST", "/orders", order).await?;
    let at = Instant::now();
    let id = order
        .get("id")
        .and_then(Value::as_str)
        .ok_or_else(|| format!("an order was answered with {status}"))?;
    Ok((id.to_owned(), at))
}
