//! `POST /orders` without any server: each order is in SQLite, on disk, when it is answered.

use super::{Bench, Goal, Measured};
use crate::{
    CONNECTIONS,
    client::{Load, orders},
    figures::{Figure, additive_limit},
    harness::Result,
    parts::{handler, sqlite},
};
use std::time::Duration;

const DURING: Duration = Duration::from_secs(4);
const ORDERS: usize = 30_000;

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measured>> {
    let Bench { stage, rounds } = bench;
    let [mut handler, mut insert] = [(); 2].map(|()| Figure::new("s"));
    let mut rate = Figure::new("orders/s");
    for _ in 0..rounds {
        let requests = orders("", stage.drinks());
        handler.rounds.push(handler::cost(stage, requests, Duration::from_secs(2)).await?);
        insert.rounds.push(sqlite::cost(stage, ORDERS).await?);
        let (mut serve, tokens) = stage.embedded().await?;
        let requests = orders(&tokens.guest, stage.drinks());
        let load = Load::closed(serve.address, requests, CONNECTIONS, DURING);
        rate.rounds.push(load.send().await?.only(&[201])?.per_second(201));
        if let Some(problem) = serve.stop().await {
            return Err(problem.into());
        }
    }
    let limit = additive_limit(&[&handler, &insert]);
    Ok(vec![
        Measured::ratio("embedded", rate, limit, Goal::AtLeast(0.6))
            .with_parts(&[("handler (h)", &handler), ("SQLite insert", &insert)]),
    ])
}
