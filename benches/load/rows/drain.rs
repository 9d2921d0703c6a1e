//! Measures how fast one worker and two record a backlog.

use super::{Bench, Goal, Measurement};
use crate::{
    CONNECTIONS,
    client::{Load, Pace, orders},
    figures::{Figure, additive_limit},
    harness::{Result, wait::until},
    parts::{broker, postgres},
    stage::{Stage, stored},
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const BACKLOG: u32 = 200_000;
const ORDERS: usize = 30_000;

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, rounds } = bench;
    let [mut consume, mut insert] = [(); 2].map(|()| Figure::new("s"));
    let [mut one, mut two] = [(); 2].map(|()| Figure::new("orders/s"));
    for _ in 0..rounds {
        consume.rounds.push(broker::costs(stage, 2 * ORDERS).await?.1);
        insert.rounds.push(postgres::cost(stage, ORDERS).await?);
        one.rounds.push(drain(stage, 1).await?);
        two.rounds.push(drain(stage, 2).await?);
    }
    let limit = additive_limit(&[&consume, &insert]);
    Ok(vec![
        Measurement::ratio("drain, one worker", one.clone(), limit, Goal::AtLeast(0.7))
            .with_parts(&[("consume (c)", &consume), ("insert (r)", &insert)]),
        Measurement::ratio("drain, two workers against one", two, one, Goal::AtLeast(1.0)),
    ])
}

/// Counts orders recorded in a second, from the workers' start until all are recorded.
async fn drain(stage: &mut Stage, workers: usize) -> Result<f64> {
    let mut system = stage.scaled_out(0).await?;
    let requests = orders(&system.tokens.guest, stage.drinks());
    let mut load = Load::closed(system.serve.address, requests, CONNECTIONS, Duration::ZERO);
    load.pace = Pace::Count(BACKLOG.into());
    load.send().await?.only(&[201, 202])?;
    let client = stage.client(&system.database).await?;
    let begun = Instant::now();
    for number in 1..=workers {
        system.add_worker(number).await?;
    }
    // The queue's length says when the work is nearly done, at no cost to the database.
    while system.waiting().await? > 0 {
        sleep(Duration::from_millis(50)).await;
    }
    until("the backlog is stored", async || Ok((stored(&client).await? == u64::from(BACKLOG)).then_some(())))
        .await?;
    let rate = f64::from(BACKLOG) / begun.elapsed().as_secs_f64();
    drop(client);
    system.stop(stage).await?;
    Ok(rate)
}
