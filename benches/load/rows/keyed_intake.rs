//! `POST /orders` under new idempotency keys, against the same without keys, in turn, with no worker.

use super::{Bench, Goal, Measurement};
use crate::{
    CONNECTIONS,
    client::{Load, Requests, keyed, orders},
    figures::Figure,
    harness::Result,
    stage::Stage,
};
use std::time::Duration;

const DURATION: Duration = Duration::from_secs(4);

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, rounds } = bench;
    let [mut with_keys, mut without] = ["orders/s", "orders/s"].map(Figure::new);
    for _ in 0..rounds {
        without.rounds.push(rate(stage, |requests| requests).await?);
        with_keys.rounds.push(rate(stage, keyed).await?);
    }
    Ok(vec![Measurement::ratio("keyed intake", with_keys, without, Goal::AtLeast(0.9))])
}

async fn rate(stage: &mut Stage, changed: fn(Requests) -> Requests) -> Result<f64> {
    let system = stage.scaled_out(0).await?;
    let requests = changed(orders(&system.tokens.guest, stage.drinks()));
    let load = Load::closed(system.serve.address, requests, CONNECTIONS, DURATION);
    let answers = load.send().await?.only(&[201, 202])?;
    system.stop(stage).await?;
    Ok(answers.per_second(202))
}
