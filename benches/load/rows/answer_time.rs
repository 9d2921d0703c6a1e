//! Measures how long a guest waits for the answer to an order, while orders come at a fixed rate.

use super::{Bench, Goal, Measurement, peak};
use crate::{
    CONNECTIONS,
    client::{Load, orders},
    figures::{Curve, Figure, percentile_ms, times},
    harness::Result,
    parts::confirm_times,
    stage::Stage,
};
use std::time::Duration;

const DURATION: Duration = Duration::from_secs(6);

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, rounds } = bench;
    let intake = intake_peak(stage).await?;
    let mut measured = at_half("workers stopped", stage, rounds, 0, intake).await?;
    let whole_way = peak(stage).await?;
    measured.extend(at_half("one worker", stage, rounds, 1, whole_way).await?);
    Ok(measured)
}

async fn intake_peak(stage: &mut Stage) -> Result<f64> {
    let system = stage.scaled_out(0).await?;
    let requests = orders(&system.tokens.guest, stage.drinks());
    let load = Load::closed(system.serve.address, requests, CONNECTIONS, Duration::from_secs(4));
    let rate = load.send().await?.only(&[201, 202])?.per_second(202);
    system.stop(stage).await?;
    Ok(rate)
}

async fn at_half(
    what: &str,
    stage: &mut Stage,
    rounds: usize,
    workers: usize,
    peak: f64,
) -> Result<Vec<Measurement>> {
    let [mut p99, mut p999, mut bare] = [(); 3].map(|()| Figure::new("ms"));
    let mut all = times();
    for _ in 0..rounds {
        let confirms = confirm_times::measure(stage, peak / 2.0, DURATION / 2).await?;
        bare.rounds.push(percentile_ms(&confirms, 99.0));
        let system = stage.scaled_out(workers).await?;
        let requests = orders(&system.tokens.guest, stage.drinks());
        let answers = Load::open(system.serve.address, requests, peak / 2.0, DURATION)
            .send()
            .await?
            .only(&[201, 202])?;
        p99.rounds.push(percentile_ms(&answers.times, 99.0));
        p999.rounds.push(percentile_ms(&answers.times, 99.9));
        all.add(&answers.times)?;
        system.stop(stage).await?;
    }
    let rate = Figure::single("orders/s", peak / 2.0);
    let curve = Curve::of(format!("POST /orders, {what}, {:.0} orders/s", peak / 2.0), &all);
    Ok(vec![
        Measurement::value(format!("answer p99, {what}"), p99, Goal::AtMost(10.0))
            .with_parts(&[("orders come at", &rate), ("bare publish at that rate, p99", &bare)])
            .with_curves([curve]),
        Measurement::value(format!("answer p99.9, {what}"), p999, Goal::AtMost(50.0)),
    ])
}
