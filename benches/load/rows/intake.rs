//! `POST /orders` at full speed, with no worker.

use super::{Bench, Goal, Measurement};
use crate::{
    CONNECTIONS,
    client::{Load, WARM_UP, orders},
    figures::{Figure, additive_limit},
    harness::Result,
    parts::{broker, handler},
};
use std::time::Duration;

const DURATION: Duration = Duration::from_secs(4);
const MESSAGES: usize = 60_000;

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, rounds } = bench;
    let (mut handler, mut publish) = (Figure::new("s"), Figure::new("s"));
    let [mut rate, mut together] = ["orders/s", ""].map(Figure::new);
    for _ in 0..rounds {
        let requests = orders("", stage.drinks());
        handler.rounds.push(handler::cost(stage, requests, Duration::from_secs(2)).await?);
        publish.rounds.push(broker::costs(stage, MESSAGES).await?.0);
        let system = stage.scaled_out(0).await?;
        let requests = orders(&system.tokens.guest, stage.drinks());
        let load = Load::closed(system.serve.address, requests, CONNECTIONS, DURATION);
        let answers = load.send().await?.only(&[201, 202])?;
        rate.rounds.push(answers.per_second(202));
        let messages = f64::from(system.waiting().await?);
        together.rounds.push(answers.per_second(202) * (DURATION + WARM_UP).as_secs_f64() / messages);
        system.stop(stage).await?;
    }
    let limit = additive_limit(&[&handler, &publish]);
    Ok(vec![Measurement::ratio("intake", rate, limit, Goal::AtLeast(0.8)).with_parts(&[
        ("handler (h)", &handler),
        ("publish (b)", &publish),
        ("orders in a message, about", &together),
    ])])
}
