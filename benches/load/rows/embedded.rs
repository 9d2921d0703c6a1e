//! `POST /orders` without any server: each answered order is in SQLite and on disk.
//!
//! The bare insert has a full batch at hand, so as many clients order at a time: with fewer, fewer share a commit and its
//! way to the disk. The rate with as many clients as in the other rows is shown beside it.

use super::{Bench, Goal, Measurement};
use crate::{
    CONNECTIONS,
    client::{Load, orders},
    figures::{Figure, additive_limit},
    harness::Result,
    parts::{BATCH_ORDERS, handler, sqlite},
};
use std::{sync::Arc, time::Duration};

const DURATION: Duration = Duration::from_secs(4);
const ORDERS: usize = 30_000;

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, rounds } = bench;
    let [mut handler, mut insert] = [(); 2].map(|()| Figure::new("s"));
    let [mut rate, mut with_few] = [(); 2].map(|()| Figure::new("orders/s"));
    for _ in 0..rounds {
        let requests = orders("", stage.drinks());
        handler.rounds.push(handler::cost(stage, requests, Duration::from_secs(2)).await?);
        insert.rounds.push(sqlite::cost(stage, ORDERS).await?);
        let (mut serve, tokens) = stage.embedded().await?;
        let requests = orders(&tokens.guest, stage.drinks());
        for (clients, rate) in [(BATCH_ORDERS, &mut rate), (CONNECTIONS, &mut with_few)] {
            let load = Load::closed(serve.address, Arc::clone(&requests), clients, DURATION);
            rate.rounds.push(load.send().await?.only(&[201])?.per_second(201));
        }
        if let Some(problem) = serve.stop().await {
            return Err(problem.into());
        }
    }
    let limit = additive_limit(&[&handler, &insert]);
    Ok(vec![Measurement::ratio("embedded", rate, limit, Goal::AtLeast(0.6)).with_parts(&[
        ("handler (h)", &handler),
        ("SQLite insert", &insert),
        ("with 64 clients", &with_few),
    ])])
}
