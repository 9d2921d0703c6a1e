//! Measures the memory of `serve` while the largest number of clients request a route and read nothing, for each route.

use super::{Bench, Goal, Measurement, memory::megabytes};
use crate::{
    figures::Figure,
    harness::{Result, roles::Role, tokens::Tokens},
    stage::Stage,
};
use reqwest::{Client, StatusCode};
use rlimit::increase_nofile_limit;
use std::time::Duration;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep},
};

/// The default limit of connections.
const CLIENTS: usize = 4096;
/// Pipelined requests of each client: those behind the first must not be answered.
const PIPELINED_REQUESTS: usize = 8;
/// Receive buffer of a client, small so that little of an answer leaves the server.
const RECEIVE_BUFFER_BYTES: u32 = 4096;
/// Time until memory has settled, and the latest: clients that read nothing are cut after 20 s.
const SETTLE_TIME: Duration = Duration::from_secs(2);
const SETTLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Each route and its largest request. The last one is the one that no other bound keeps small.
const ROUTES: [&str; 15] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/recipes",
    "/recipes/Negroni",
    "/openapi.json",
    "/problems",
    "/problems/invalid",
    "/docs",
    "/docs/swagger-ui-bundle.js",
    "/me",
    "/users?limit=100",
    "/audit?limit=100",
    "/dead-letters?limit=100",
    "/orders?limit=100",
];

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, .. } = bench;
    increase_nofile_limit(u64::MAX)?;
    let [mut before, mut worst] = [(); 2].map(|()| Figure::new("MB"));
    let mut by_route = Vec::new();
    for route in ROUTES {
        for coding in ["identity", "gzip"] {
            let (idle, stalled) = stalled(stage, route, coding).await?;
            let mut figure = Figure::new("MB");
            figure.rounds.push(stalled);
            before.rounds.push(idle);
            by_route.push((format!("{route}, {coding}"), figure));
        }
    }
    let most = by_route.iter().flat_map(|(_, figure)| figure.rounds.clone()).fold(0.0, f64::max);
    worst.rounds.push(most);
    let parts: Vec<_> = by_route.iter().map(|(name, figure)| (name.as_str(), figure)).collect();
    Ok(vec![
        Measurement::value(
            "memory of serve, 4,096 clients that read nothing, the worst route",
            worst,
            Goal::AtMost(768.0),
        )
        .with_parts(&[("before", &before)])
        .with_parts(&parts),
    ])
}

/// Measures the memory of a new `serve` before and while all clients stall at this route.
async fn stalled(stage: &Stage, route: &str, coding: &str) -> Result<(f64, f64)> {
    let no_limits = [("RATE_LIMITS".to_owned(), "off".to_owned())];
    let (mut serve, tokens) = stage.embedded_with(&no_limits).await?;
    fill(&serve, &tokens, stage.drinks()).await?;
    sleep(SETTLE_TIME).await;
    let idle = megabytes(&serve, "VmRSS:")?;
    let head = format!(
        "GET {route} HTTP/1.1\r\nHost: bar\r\nAccept-Encoding: {coding}\r\nAuthorization: Bearer {}\r\n\r\n",
        admin(&serve).await?
    );
    let request = head.repeat(PIPELINED_REQUESTS);
    let mut clients = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        clients.push(ask(&serve, request.as_bytes()).await?);
    }
    let stalled = settled(&serve).await?;
    println!("{route}, {coding}: {idle:.0} MB, {stalled:.0} MB with {CLIENTS} clients");
    drop(clients);
    match serve.stop().await {
        Some(problem) => Err(problem.into()),
        None => Ok((idle, stalled)),
    }
}

async fn admin(serve: &Role) -> Result<String> {
    let login = serde_json::json!({ "email": "admin@example.com", "password": "password123" });
    let answer = Client::new().post(format!("http://{}/login", serve.address)).json(&login).send().await?;
    let answer: serde_json::Value = answer.error_for_status()?.json().await?;
    Ok(answer.get("token").and_then(serde_json::Value::as_str).ok_or("an answer without a token")?.to_owned())
}

async fn ask(serve: &Role, request: &[u8]) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    let mut client = socket.connect(serve.address).await?;
    client.write_all(request).await?;
    Ok(client)
}

/// Samples memory until it no longer grows, and returns the maximum.
async fn settled(serve: &Role) -> Result<f64> {
    let begun = Instant::now();
    let mut most = 0.0;
    while begun.elapsed() < SETTLE_TIMEOUT {
        sleep(SETTLE_TIME).await;
        let now = megabytes(serve, "VmRSS:")?;
        if now < most * 1.01 {
            break;
        }
        most = now;
    }
    Ok(most)
}

/// A page of the largest orders.
async fn fill(serve: &Role, tokens: &Tokens, drinks: &[String]) -> Result<()> {
    let http = Client::new();
    let item = serde_json::json!({ "recipe": drinks.first(), "quantity": 1, "note": "ö".repeat(200) });
    let order = serde_json::json!({ "items": vec![item; 20], "note": "ö".repeat(200) });
    for _ in 0..100 {
        let request =
            http.post(format!("http://{}/orders", serve.address)).bearer_auth(&tokens.guest).json(&order);
        let status = request.send().await?.status();
        if status != StatusCode::CREATED {
            return Err(format!("an order was answered {status}").into());
        }
    }
    Ok(())
}
