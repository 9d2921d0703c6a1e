//! Measures one `serve` with many open streams of guests: memory, queries while nothing happens, and how soon changes come.

use super::{Bench, Goal, Measurement, memory::megabytes};
use crate::{
    client::Client,
    figures::{Figure, Times, micros, percentile_ms, times},
    harness::{Result, roles::Role, tokens::Tokens},
    stage::Stage,
    streams::{Streams, register},
};
use rlimit::increase_nofile_limit;
use serde_json::{Value, json};
use std::{collections::HashMap, time::Duration};
use tokio::time::{Instant, interval, sleep};

const STREAMS: usize = 5000;
/// Time after which memory has settled.
const SETTLE_TIME: Duration = Duration::from_secs(3);
/// Time after the last change by which its events have come.
const EVENTS_TIME: Duration = Duration::from_secs(1);
/// Time for which queries are counted. PostgreSQL publishes its counts once a second.
const IDLE_TIME: Duration = Duration::from_secs(20);
/// Guests whose orders change, and the interval between two changes.
const CHANGED_ORDERS: usize = 1000;
const CHANGE_INTERVAL: Duration = Duration::from_millis(10);
/// Changes of the menu in a round.
const MENU_CHANGES: usize = 6;

/// Counts transactions, each of which has a query or more.
const COUNT_TRANSACTIONS: &str =
    "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";

#[derive(Default)]
struct Round {
    connections_megabytes: f64,
    streams_megabytes: f64,
    /// Transactions a second, without streams and with them.
    queries: (f64, f64),
    change_p99_ms: f64,
    menu_ms: f64,
}

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, rounds } = bench;
    increase_nofile_limit(u64::MAX)?;
    let [mut connections, mut streams] = [(); 2].map(|()| Figure::new("MB"));
    let [mut without, mut with, mut more] = [(); 3].map(|()| Figure::new("/s"));
    let [mut change, mut menu] = [(); 2].map(|()| Figure::new("ms"));
    let mut each = Figure::new("kB");
    for _ in 0..rounds {
        let round = round(stage).await?;
        connections.rounds.push(round.connections_megabytes);
        streams.rounds.push(round.streams_megabytes);
        #[allow(clippy::cast_precision_loss)]
        each.rounds.push((round.streams_megabytes - round.connections_megabytes) * 1000.0 / STREAMS as f64);
        without.rounds.push(round.queries.0);
        with.rounds.push(round.queries.1);
        more.rounds.push((round.queries.1 - round.queries.0).max(0.0));
        change.rounds.push(round.change_p99_ms);
        menu.rounds.push(round.menu_ms);
    }
    Ok(vec![
        Measurement::value("memory of an idle stream, above an idle connection", each, Goal::AtMost(4.0))
            .with_parts(&[
                ("serve with 5,000 idle connections", &connections),
                ("with 5,000 streams", &streams),
            ]),
        Measurement::value("queries of 5,000 idle streams", more, Goal::AtMost(0.5))
            .with_parts(&[("serve without streams", &without), ("with 5,000 streams", &with)]),
        Measurement::value("change of an order to the guest's stream, p99", change, Goal::AtMost(250.0)),
        Measurement::value("change of the menu to all 5,000 streams, slowest", menu, Goal::AtMost(1000.0)),
    ])
}

async fn round(stage: &mut Stage) -> Result<Round> {
    let database = stage.database().await?;
    let mut round = Round::default();
    // Each with a `serve` of its own: memory that was used once is not always given back.
    let (mut serve, guests) = start(stage, &database, &[]).await?;
    stopped(&mut serve).await?;
    let (mut serve, _) = start(stage, &database, &guests).await?;
    round.queries.0 = queries_each_second(stage, &database).await?;
    let mut idle = Vec::with_capacity(STREAMS);
    for token in &guests {
        let mut client = Client::connect(serve.address, token).await?;
        client.expect(200, "GET", "/me", String::new()).await?;
        idle.push(client);
    }
    sleep(SETTLE_TIME).await;
    round.connections_megabytes = megabytes(&serve, "VmRSS:")?;
    drop(idle);
    stopped(&mut serve).await?;

    let (mut serve, guests) = start(stage, &database, &guests).await?;
    let mut streams = Streams::open(serve.address, &guests).await?;
    sleep(SETTLE_TIME).await;
    round.streams_megabytes = megabytes(&serve, "VmRSS:")?;
    round.queries.1 = queries_each_second(stage, &database).await?;
    let changed = change_orders(stage, &serve, &guests, &mut streams).await?;
    round.change_p99_ms = percentile_ms(&changed, 99.0);
    round.menu_ms = change_menu(stage, &serve, &mut streams).await?;
    drop(streams);
    stopped(&mut serve).await?;
    stage.clean_up(&database).await?;
    Ok(round)
}

/// Starts a `serve` for as many connections as there are streams, and registers guests unless there are some.
async fn start(stage: &Stage, database: &str, guests: &[String]) -> Result<(Role, Vec<String>)> {
    let settings = [("RATE_LIMITS", "off"), ("HTTP_CONNECTIONS", "6000"), ("BCRYPT_COST", "4")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (serve, _) = stage.recording_with(database, &settings).await?;
    let guests = if guests.is_empty() { register(serve.address, STREAMS).await? } else { guests.to_vec() };
    Ok((serve, guests))
}

async fn stopped(serve: &mut Role) -> Result<()> {
    serve.stop().await.map_or(Ok(()), |problem| Err(problem.into()))
}

async fn queries_each_second(stage: &Stage, database: &str) -> Result<f64> {
    let client = stage.client(database).await?;
    let count = async || -> Result<i64> { Ok(client.query_one(COUNT_TRANSACTIONS, &[]).await?.get(0)) };
    let (before, begun) = (count().await?, Instant::now());
    sleep(IDLE_TIME).await;
    #[allow(clippy::cast_precision_loss)]
    Ok((count().await? - before) as f64 / begun.elapsed().as_secs_f64())
}

/// Changes an order of each of some guests, and measures from the request until the event in their stream.
async fn change_orders(
    stage: &Stage,
    serve: &Role,
    guests: &[String],
    streams: &mut Streams,
) -> Result<Times> {
    let body = json!({ "recipe": stage.drinks().first().ok_or("no menu")? }).to_string();
    let mut ids = Vec::new();
    for token in guests.iter().take(CHANGED_ORDERS) {
        let mut guest = Client::connect(serve.address, token).await?;
        let order = guest.expect(201, "POST", "/orders", body.clone()).await?;
        ids.push(order.get("id").and_then(Value::as_str).ok_or("no id")?.to_owned());
    }
    streams.orders(EVENTS_TIME).await;
    let tokens = Tokens::sign_in(serve.address).await?;
    let mut bartender = Client::connect(serve.address, &tokens.bartender).await?;
    let mut next = interval(CHANGE_INTERVAL);
    let mut begun = HashMap::new();
    for id in &ids {
        next.tick().await;
        begun.insert(id.clone(), Instant::now());
        bartender.expect(200, "POST", &format!("/orders/{id}/start"), String::new()).await?;
    }
    let mut took = times();
    for (arrival, order) in streams.orders(EVENTS_TIME).await {
        if ids.get(arrival.stream) != Some(&order.id) {
            return Err("an order came in another guest's stream".into());
        }
        let begun = begun.remove(&order.id).ok_or("a change came twice")?;
        took.record(micros(arrival.at - begun))?;
    }
    if begun.is_empty() { Ok(took) } else { Err(format!("{} changes had no event", begun.len()).into()) }
}

/// Changes the menu some times. Returns the longest time in milliseconds until all streams had it.
async fn change_menu(stage: &Stage, serve: &Role, streams: &mut Streams) -> Result<f64> {
    let tokens = Tokens::sign_in(serve.address).await?;
    let mut bartender = Client::connect(serve.address, &tokens.bartender).await?;
    let drink = stage.drinks().first().ok_or("no menu")?;
    let path = format!("/recipes?q={}", drink.replace(' ', "%20"));
    let found = bartender.expect(200, "GET", &path, String::new()).await?;
    let recipes = found.get("recipes").and_then(Value::as_array).ok_or("no recipes")?;
    let id = recipes.first().and_then(|recipe| recipe.get("id")?.as_str()).ok_or("no recipe")?;
    let path = format!("/recipes/{id}/availability");
    let mut longest = Duration::ZERO;
    for number in 0..MENU_CHANGES {
        let begun = Instant::now();
        let available = json!({ "available": number % 2 == 1 }).to_string();
        bartender.replace(&path, available).await?;
        let mut last = begun;
        for _ in 0..STREAMS {
            last = last.max(streams.next_named("menu").await?.at);
        }
        longest = longest.max(last - begun);
        sleep(EVENTS_TIME).await;
    }
    Ok(longest.as_secs_f64() * 1000.0)
}
