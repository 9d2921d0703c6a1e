//! The same requests to a bar with 10,000 stored orders and to one with 10,000,000.

use super::{Bench, Goal, Measured};
use crate::{
    client::Client,
    figures::{Curve, Figure, Times, micros, percentile_ms, times},
    harness::{Result, roles::Role, tokens::Tokens},
    stage::Stage,
};
use serde_json::Value;
use tokio::time::Instant;

const FILL: &str = include_str!("../fill.sql");
const FEW: u64 = 10_000;
const MANY: u64 = 10_000_000;
/// Requests of a kind in a round.
const LISTS: usize = 300;
const MOVES: usize = 200;

/// What is asked.
#[derive(Clone, Copy)]
enum Kind {
    Board,
    Own,
    Next,
    Start,
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::Board, "GET /orders, the board"),
    (Kind::Own, "GET /orders, a customer's own"),
    (Kind::Next, "POST /orders/next"),
    (Kind::Start, "POST /orders/{id}/start"),
];

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measured>> {
    let Bench { stage, rounds } = bench;
    let few = Filled::new(stage, FEW).await?;
    let many = Filled::new(stage, MANY).await?;
    let mut measured = Vec::new();
    for (kind, name) in KINDS {
        let [mut few_p99, mut many_p99] = [(); 2].map(|()| Figure::new("ms"));
        let [mut all_few, mut all_many] = [times(), times()];
        few.round(kind).await?; // plans, caches
        many.round(kind).await?;
        for _ in 0..rounds {
            for (filled, figure, all) in
                [(&few, &mut few_p99, &mut all_few), (&many, &mut many_p99, &mut all_many)]
            {
                let times = filled.round(kind).await?;
                figure.rounds.push(percentile_ms(&times, 99.0));
                all.add(&times)?;
            }
        }
        let curves = [(FEW, &all_few), (MANY, &all_many)]
            .map(|(count, times)| Curve::of(format!("{name}, {count} orders"), times));
        measured.push(
            Measured::ratio(
                format!("{name}: p99, {MANY} against {FEW}"),
                many_p99,
                few_p99,
                Goal::AtMost(1.3),
            )
            .with_curves(curves),
        );
    }
    for filled in [few, many] {
        filled.stop(stage).await?;
    }
    Ok(measured)
}

/// A `serve` on a database with so many orders.
struct Filled {
    database: String,
    serve: Role,
    tokens: Tokens,
}

impl Filled {
    async fn new(stage: &mut Stage, orders: u64) -> Result<Self> {
        let database = stage.database().await?;
        let client = stage.client(&database).await?;
        let begun = Instant::now();
        client.batch_execute(&FILL.replace("{orders}", &orders.to_string())).await?;
        client.batch_execute("VACUUM ANALYZE").await?;
        println!("    {orders} orders filled in {:.0} s", begun.elapsed().as_secs_f64());
        let (serve, tokens) = stage.recording(&database).await?;
        Ok(Self { database, serve, tokens })
    }

    /// Asks one after the other, and takes back what was moved.
    async fn round(&self, kind: Kind) -> Result<Times> {
        let mut bartender = Client::connect(self.serve.address, &self.tokens.bartender).await?;
        let mut guest = Client::connect(self.serve.address, &self.tokens.guest).await?;
        let mut times = times();
        match kind {
            Kind::Board => {
                for _ in 0..LISTS {
                    timed(&mut times, &mut bartender, "GET", "/orders?status=pending").await?;
                }
            }
            Kind::Own => {
                for _ in 0..LISTS {
                    timed(&mut times, &mut guest, "GET", "/orders").await?;
                }
            }
            Kind::Next => {
                let mut claimed = Vec::new();
                for _ in 0..MOVES {
                    let order = timed(&mut times, &mut bartender, "POST", "/orders/next").await?;
                    claimed.push(id(&order)?);
                }
                undo(&mut bartender, &claimed).await?;
            }
            Kind::Start => {
                let waiting = waiting(&mut bartender).await?;
                for id in &waiting {
                    timed(&mut times, &mut bartender, "POST", &format!("/orders/{id}/start")).await?;
                }
                undo(&mut bartender, &waiting).await?;
            }
        }
        Ok(times)
    }

    async fn stop(mut self, stage: &Stage) -> Result<()> {
        match self.serve.stop().await {
            Some(problem) => Err(problem.into()),
            None => stage.clean_up(&self.database).await,
        }
    }
}

async fn timed(times: &mut Times, client: &mut Client, method: &str, path: &str) -> Result<Value> {
    let asked = Instant::now();
    let answer = client.expect(200, method, path, String::new()).await?;
    times.record(micros(asked.elapsed()))?;
    Ok(answer)
}

async fn undo(bartender: &mut Client, orders: &[String]) -> Result<()> {
    for id in orders {
        bartender.expect(200, "POST", &format!("/orders/{id}/undo"), String::new()).await?;
    }
    Ok(())
}

/// Orders that wait, page by page.
async fn waiting(bartender: &mut Client) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut path = "/orders?status=pending&limit=100".to_owned();
    while found.len() < MOVES {
        let page = bartender.expect(200, "GET", &path, String::new()).await?;
        for order in page.get("orders").and_then(Value::as_array).ok_or("no list")? {
            found.push(id(order)?);
        }
        let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) else { break };
        path = format!("/orders?status=pending&limit=100&cursor={cursor}");
    }
    found.truncate(MOVES);
    Ok(found)
}

fn id(order: &Value) -> Result<String> {
    Ok(order.get("id").and_then(Value::as_str).ok_or("an order without an id")?.to_owned())
}
