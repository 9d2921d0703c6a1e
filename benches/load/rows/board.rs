//! How soon the board shows an order that was accepted, while orders come by the clock.

use super::{Bench, Goal, Measured, peak};
use crate::{
    client::{Client, Load, orders},
    figures::{Curve, Figure, Times, micros, percentile_ms, times},
    harness::Result,
    stage::{Stage, System},
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

const DURING: Duration = Duration::from_secs(8);
const WARM_UP: Duration = Duration::from_secs(2);
/// An order that is followed is placed so often.
const EVERY: Duration = Duration::from_millis(50);
/// It is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measured>> {
    let Bench { stage, rounds } = bench;
    let rate = peak(stage).await? / 2.0;
    let mut p99 = Figure::new("ms");
    let mut all = times();
    for _ in 0..rounds {
        let system = stage.scaled_out(1).await?;
        let requests = orders(&system.tokens.guest, stage.drinks());
        let load = Load::open(system.serve.address, requests, rate, WARM_UP + DURING);
        let (answers, seen) = tokio::try_join!(load.send(), follow(stage, &system))?;
        answers.only(&[201, 202])?;
        p99.rounds.push(percentile_ms(&seen, 99.0));
        all.add(&seen)?;
        system.stop(stage).await?;
    }
    Ok(vec![
        Measured::value("accepted to visible, p99", p99, Goal::AtMost(100.0))
            .with_parts(&[("orders come at", &Figure::single("orders/s", rate))])
            .with_curves([Curve::of(format!("accepted to visible, {rate:.0} orders/s"), &all)]),
    ])
}

/// Places orders and looks at each until it is pending, which is to be on the board.
async fn follow(stage: &Stage, system: &System) -> Result<Times> {
    let begun = Instant::now();
    let mut guest = Client::connect(system.serve.address, &system.tokens.guest).await?;
    let mut bartender = Client::connect(system.serve.address, &system.tokens.bartender).await?;
    let drink = stage.drinks().first().ok_or("no menu")?;
    let mut seen = times();
    sleep_until(begun + WARM_UP).await;
    let mut next = interval(EVERY);
    next.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while begun.elapsed() < WARM_UP + DURING {
        next.tick().await;
        let order = json!({ "recipe": drink, "table": "7" }).to_string();
        let (_, order) = guest.ask("POST", "/orders", order).await?;
        let accepted = Instant::now();
        let order = format!("/orders/{}", order.get("id").and_then(Value::as_str).ok_or("no id")?);
        // Nobody works this board, so that it has tens of thousands of orders by now: its one row is looked at, not the list.
        loop {
            let order = bartender.expect(200, "GET", &order, String::new()).await?;
            if order.get("status").is_some_and(|status| status == "pending") {
                break;
            }
            if accepted.elapsed() > PATIENCE {
                return Err("the board does not show an order".into());
            }
            sleep(LOOK_EVERY).await;
        }
        seen.record(micros(accepted.elapsed()))?;
    }
    Ok(seen)
}
