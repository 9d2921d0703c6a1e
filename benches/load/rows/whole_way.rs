//! Orders that come in and are recorded at the same time, at the pace that keeps the queue from growing.

use super::{Bench, Goal, Measurement};
use crate::{
    CONNECTIONS,
    client::{Load, orders},
    figures::{Figure, additive_limit},
    harness::Result,
    parts::{broker, handler, postgres},
    stage::{Stage, System, stored},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep};

const WARM_UP: Duration = Duration::from_secs(3);
const DURATION: Duration = Duration::from_secs(6);
/// Accepted orders not yet recorded above which no new ones are sent, so that the queue stays the same.
const MAX_WAITING_ORDERS: u64 = 4_000;
const COUNT_INTERVAL: Duration = Duration::from_millis(100);
const ORDERS: usize = 30_000;

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, rounds } = bench;
    let [mut handler, mut publish, mut consume, mut insert] = [(); 4].map(|()| Figure::new("s"));
    let mut rate = Figure::new("orders/s");
    let [mut waiting_first, mut waiting_last] = [(); 2].map(|()| Figure::new("orders"));
    for _ in 0..rounds {
        let requests = orders("", stage.drinks());
        handler.rounds.push(handler::cost(stage, requests, Duration::from_secs(2)).await?);
        let (published, consumed) = broker::costs(stage, 2 * ORDERS).await?;
        publish.rounds.push(published);
        consume.rounds.push(consumed);
        insert.rounds.push(postgres::cost(stage, ORDERS).await?);
        let system = stage.scaled_out(1).await?;
        let steady = steady(stage, &system, DURATION).await?;
        rate.rounds.push(steady.rate);
        waiting_first.rounds.push(steady.waiting.0);
        waiting_last.rounds.push(steady.waiting.1);
        system.stop(stage).await?;
    }
    let limit = additive_limit(&[&handler, &publish, &consume, &insert]);
    Ok(vec![Measurement::ratio("whole way", rate, limit, Goal::AtLeast(0.7)).with_parts(&[
        ("handler (h)", &handler),
        ("publish (b)", &publish),
        ("consume (c)", &consume),
        ("insert (r)", &insert),
        ("taken and not stored, at first", &waiting_first),
        ("taken and not stored, at last", &waiting_last),
    ])])
}

/// A run with as many orders recorded as accepted.
pub struct SteadyRun {
    pub rate: f64,
    /// Orders accepted and not recorded, at the begin and the end of the count.
    pub waiting: (f64, f64),
}

/// Sends as many orders as are recorded.
#[allow(clippy::cast_precision_loss)]
pub async fn steady(stage: &Stage, system: &System, during: Duration) -> Result<SteadyRun> {
    let requests = orders(&system.tokens.guest, stage.drinks());
    let load = Load::closed(system.serve.address, requests, CONNECTIONS, WARM_UP + during);
    let (pause, taken) = (Arc::clone(&load.pause), Arc::clone(&load.taken));
    let counting = async {
        let client = stage.client(&system.database).await?;
        let begun = Instant::now();
        let mut first = None;
        loop {
            let (stored, at) = (stored(&client).await?, Instant::now());
            let waiting = taken.load(Ordering::Relaxed).saturating_sub(stored);
            pause.store(waiting > MAX_WAITING_ORDERS, Ordering::Relaxed);
            match first {
                None if at - begun >= WARM_UP => first = Some((stored, waiting, at)),
                Some((before, waiting_first, since)) if at - since >= during => {
                    let rate = (stored - before) as f64 / (at - since).as_secs_f64();
                    return Result::Ok(SteadyRun { rate, waiting: (waiting_first as f64, waiting as f64) });
                }
                _ => sleep(COUNT_INTERVAL).await,
            }
        }
    };
    let sending = async { load.send().await?.only(&[201, 202]) };
    Ok(tokio::try_join!(counting, sending)?.0)
}
