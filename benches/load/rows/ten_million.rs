//! The same requests to a bar with 10,000 recorded orders and to one with 10,000,000, with the same board.

use super::{Bench, Goal, Measurement};
use crate::{
    client::Client,
    figures::{Curve, Figure, Times, micros, percentile_ms, times},
    harness::{Result, roles::Role, tokens::Tokens},
    stage::Stage,
};
use serde_json::Value;
use tokio::time::Instant;

const FILL_SQL: &str = include_str!("../fill.sql");
const FEW_ORDERS: u64 = 10_000;
const MANY_ORDERS: u64 = 10_000_000;
/// Requests of a kind in a round.
const LIST_REQUESTS: usize = 1000;
const ACTION_REQUESTS: usize = 500;

#[derive(Clone, Copy)]
enum RequestKind {
    Board,
    Own,
    Next,
    Start,
}

const REQUEST_KINDS: [(RequestKind, &str); 4] = [
    (RequestKind::Board, "GET /orders, the board"),
    (RequestKind::Own, "GET /orders, a customer's own"),
    (RequestKind::Next, "POST /orders/next"),
    (RequestKind::Start, "POST /orders/{id}/start"),
];

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, rounds } = bench;
    let mut few = FilledBar::new(stage, FEW_ORDERS).await?;
    let mut many = FilledBar::new(stage, MANY_ORDERS).await?;
    let mut measured = Vec::new();
    for (kind, name) in REQUEST_KINDS {
        let [mut few_p99, mut many_p99] = [(); 2].map(|()| Figure::new("ms"));
        let mut all = [times(), times()];
        round(kind, &mut few, &mut many).await?; // plans, caches
        for _ in 0..rounds {
            let [few_times, many_times] = round(kind, &mut few, &mut many).await?;
            few_p99.rounds.push(percentile_ms(&few_times, 99.0));
            many_p99.rounds.push(percentile_ms(&many_times, 99.0));
            all[0].add(&few_times)?;
            all[1].add(&many_times)?;
        }
        let curves = [(FEW_ORDERS, &all[0]), (MANY_ORDERS, &all[1])]
            .map(|(count, times)| Curve::of(format!("{name}, {count} orders"), times));
        measured.push(
            Measurement::ratio(format!("{name}, p99"), many_p99, few_p99, Goal::AtMost(1.3))
                .with_curves(curves),
        );
    }
    few.stop(stage).await?;
    many.stop(stage).await?;
    Ok(measured)
}

/// Sends both bars one request each in turn, so that other load on the machine meets both; then undoes each transition.
async fn round(kind: RequestKind, few: &mut FilledBar, many: &mut FilledBar) -> Result<[Times; 2]> {
    let mut times = [times(), times()];
    few.connect().await?;
    many.connect().await?;
    let requests = [few.requests(kind).await?, many.requests(kind).await?];
    let mut moved = [Vec::new(), Vec::new()];
    let [few_requests, many_requests] = &requests;
    for (few_path, many_path) in few_requests.iter().zip(many_requests) {
        let sides = [(&mut *few, few_path), (&mut *many, many_path)];
        for ((side, path), (times, moved)) in sides.into_iter().zip(times.iter_mut().zip(&mut moved)) {
            let answer = side.timed(kind, path, times).await?;
            moved.extend(answer.get("id").and_then(Value::as_str).map(str::to_owned));
        }
    }
    let [few_moved, many_moved] = moved;
    few.undo(&few_moved).await?;
    many.undo(&many_moved).await?;
    Ok(times)
}

/// Starts a `serve` on a database with this many orders.
struct FilledBar {
    database: String,
    serve: Role,
    tokens: Tokens,
    guest: Client,
    bartender: Client,
}

impl FilledBar {
    async fn new(stage: &mut Stage, orders: u64) -> Result<Self> {
        let database = stage.database().await?;
        let client = stage.client(&database).await?;
        let begun = Instant::now();
        client.batch_execute(&FILL_SQL.replace("{orders}", &orders.to_string())).await?;
        client.batch_execute("VACUUM ANALYZE").await?;
        println!("    {orders} orders filled in {:.0} s", begun.elapsed().as_secs_f64());
        let (serve, tokens) = stage.recording(&database).await?;
        let guest = Client::connect(serve.address, &tokens.guest).await?;
        let bartender = Client::connect(serve.address, &tokens.bartender).await?;
        Ok(Self { database, serve, tokens, guest, bartender })
    }

    /// Reconnects: filling the other bar may have outlasted the keep-alive timeout.
    async fn connect(&mut self) -> Result<()> {
        self.guest = Client::connect(self.serve.address, &self.tokens.guest).await?;
        self.bartender = Client::connect(self.serve.address, &self.tokens.bartender).await?;
        Ok(())
    }

    /// Returns the paths to request.
    async fn requests(&mut self, kind: RequestKind) -> Result<Vec<String>> {
        Ok(match kind {
            RequestKind::Board => vec!["/orders?status=pending".to_owned(); LIST_REQUESTS],
            RequestKind::Own => vec!["/orders".to_owned(); LIST_REQUESTS],
            RequestKind::Next => vec!["/orders/next".to_owned(); ACTION_REQUESTS],
            RequestKind::Start => {
                self.waiting().await?.iter().map(|id| format!("/orders/{id}/start")).collect()
            }
        })
    }

    async fn timed(&mut self, kind: RequestKind, path: &str, times: &mut Times) -> Result<Value> {
        let (client, method) = match kind {
            RequestKind::Board => (&mut self.bartender, "GET"),
            RequestKind::Own => (&mut self.guest, "GET"),
            RequestKind::Next | RequestKind::Start => (&mut self.bartender, "POST"),
        };
        let asked = Instant::now();
        let answer = client.expect(200, method, path, String::new()).await?;
        times.record(micros(asked.elapsed()))?;
        Ok(answer)
    }

    async fn undo(&mut self, orders: &[String]) -> Result<()> {
        for id in orders {
            self.bartender.expect(200, "POST", &format!("/orders/{id}/undo"), String::new()).await?;
        }
        Ok(())
    }

    /// Reads waiting orders, page by page.
    async fn waiting(&mut self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut path = "/orders?status=pending&limit=100".to_owned();
        while found.len() < ACTION_REQUESTS {
            let page = self.bartender.expect(200, "GET", &path, String::new()).await?;
            for order in page.get("orders").and_then(Value::as_array).ok_or("no list")? {
                found.push(order.get("id").and_then(Value::as_str).ok_or("no id")?.to_owned());
            }
            let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) else { break };
            path = format!("/orders?status=pending&limit=100&cursor={cursor}");
        }
        found.truncate(ACTION_REQUESTS);
        Ok(found)
    }

    async fn stop(mut self, stage: &Stage) -> Result<()> {
        match self.serve.stop().await {
            Some(problem) => Err(problem.into()),
            None => stage.clean_up(&self.database).await,
        }
    }
}
