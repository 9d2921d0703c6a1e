//! Orders that come in and are stored at the same time, at the pace that keeps the queue from growing.

use super::{Bench, Goal, Measured};
use crate::{
    CONNECTIONS,
    client::{Load, orders},
    figures::{Figure, additive_limit},
    harness::Result,
    parts::{broker, handler, postgres},
    stage::{Stage, System, stored},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};

const WARM_UP: Duration = Duration::from_secs(3);
const DURING: Duration = Duration::from_secs(6);
/// While more messages than this wait, no new orders are sent: so the queue stays where it is.
const MOST_WAITING: u32 = 4_000;
const ORDERS: usize = 30_000;

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measured>> {
    let Bench { stage, rounds } = bench;
    let [mut handler, mut publish, mut consume, mut insert] = [(); 4].map(|()| Figure::new("s"));
    let mut rate = Figure::new("orders/s");
    for _ in 0..rounds {
        let requests = orders("", stage.drinks());
        handler.rounds.push(handler::cost(stage, requests, Duration::from_secs(2)).await?);
        let (published, consumed) = broker::costs(stage, 2 * ORDERS).await?;
        publish.rounds.push(published);
        consume.rounds.push(consumed);
        insert.rounds.push(postgres::cost(stage, ORDERS).await?);
        let system = stage.scaled_out(1).await?;
        rate.rounds.push(steady(stage, &system, DURING).await?);
        system.stop(stage).await?;
    }
    let limit = additive_limit(&[&handler, &publish, &consume, &insert]);
    Ok(vec![Measured::ratio("whole way", rate, limit, Goal::AtLeast(0.7)).with_parts(&[
        ("handler (h)", &handler),
        ("publish (b)", &publish),
        ("consume (c)", &consume),
        ("insert (r)", &insert),
    ])])
}

/// Orders stored in a second, while as many are taken.
#[allow(clippy::cast_precision_loss)]
pub async fn steady(stage: &Stage, system: &System, during: Duration) -> Result<f64> {
    let pause = Arc::new(AtomicBool::new(false));
    let requests = orders(&system.tokens.guest, stage.drinks());
    let mut load = Load::closed(system.serve.address, requests, CONNECTIONS, WARM_UP + during);
    load.pause = Arc::clone(&pause);
    let begun = Instant::now();
    let watching = async {
        loop {
            pause.store(system.waiting().await? > MOST_WAITING, Ordering::Relaxed);
            sleep(Duration::from_millis(20)).await;
        }
        #[allow(unreachable_code)]
        Result::Ok(())
    };
    let counting = async {
        let client = stage.client(&system.database).await?;
        sleep_until(begun + WARM_UP).await;
        let (first, at) = (stored(&client).await?, Instant::now());
        sleep_until(begun + WARM_UP + during).await;
        let last = stored(&client).await?;
        Result::Ok((last - first) as f64 / at.elapsed().as_secs_f64())
    };
    tokio::select! {
        watched = watching => Err(watched.err().unwrap_or_else(|| "the watch ended".into())),
        both = async { tokio::try_join!(counting, async { load.send().await?.only(&[201, 202]) }) } => Ok(both?.0),
    }
}
