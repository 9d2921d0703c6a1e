//! Clients of `GET /stream`, each on a connection of its own.

use crate::{
    client::{Client, connect_spawned, request},
    harness::{
        Result,
        events::{Block, OrderEvent, Parser},
    },
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinSet,
    time::{Instant, timeout_at},
};

const EVENT_TIMEOUT: Duration = Duration::from_secs(20);

/// An event that came in a stream.
pub struct Arrival {
    /// Number of the stream, from 0.
    pub stream: usize,
    pub name: String,
    /// Set if the event is about an order.
    pub order: Option<OrderEvent>,
    pub at: Instant,
}

/// Open streams. They end when this is dropped.
pub struct Streams {
    arrivals: UnboundedReceiver<Arrival>,
    _reading: JoinSet<()>,
}

impl Streams {
    /// Opens a stream with each of these tokens.
    pub async fn open(at: SocketAddr, tokens: &[String]) -> Result<Self> {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let mut reading = JoinSet::new();
        for (stream, token) in tokens.iter().enumerate() {
            let mut connection = connect_spawned(at).await?;
            let response = connection.send_request(request("GET", "/stream", Some(token), "")).await?;
            if response.status() != 200 {
                return Err(format!("a stream was answered with {}", response.status()).into());
            }
            let sender = sender.clone();
            reading.spawn(async move {
                // Dropping it would end the connection.
                let _connection = connection;
                read(stream, response.into_body(), &sender).await;
            });
        }
        let mut this = Self { arrivals, _reading: reading };
        for _ in tokens {
            this.next_named("hello").await?;
        }
        Ok(this)
    }

    /// Waits for the next event of this name, in any stream.
    pub async fn next_named(&mut self, name: &str) -> Result<Arrival> {
        let deadline = Instant::now() + EVENT_TIMEOUT;
        loop {
            let arrival = timeout_at(deadline, self.arrivals.recv()).await;
            let arrival =
                arrival.map_err(|_| format!("no event {name} in time"))?.ok_or("all streams ended")?;
            if arrival.name == name {
                return Ok(arrival);
            }
        }
    }

    /// Takes the events about orders that have come, and that come within this time.
    pub async fn orders(&mut self, wait: Duration) -> Vec<(Arrival, OrderEvent)> {
        let deadline = Instant::now() + wait;
        let mut found = Vec::new();
        while let Ok(Some(mut arrival)) = timeout_at(deadline, self.arrivals.recv()).await {
            if let Some(order) = arrival.order.take() {
                found.push((arrival, order));
            }
        }
        found
    }
}

async fn read(stream: usize, mut body: Incoming, arrivals: &UnboundedSender<Arrival>) {
    let mut parser = Parser::default();
    while let Some(Ok(frame)) = body.frame().await {
        let at = Instant::now();
        let Some(bytes) = frame.data_ref() else { continue };
        parser.push(bytes);
        while let Some(Block { event: name, data, .. }) = parser.next_block() {
            let order = if name == "order" { serde_json::from_str(&data).ok() } else { None };
            if !name.is_empty() && arrivals.send(Arrival { stream, name, order, at }).is_err() {
                return;
            }
        }
    }
}

/// Registers guests and returns their tokens.
pub async fn register(at: SocketAddr, count: usize) -> Result<Vec<String>> {
    let mut client = Client::connect(at, "").await?;
    let mut tokens = Vec::with_capacity(count);
    for number in 0..count {
        let account = json!({
            "username": format!("Guest {number}"),
            "email": format!("guest-{number}@example.com"),
            "password": "seven green limes",
        });
        let answer = client.expect(201, "POST", "/register", account.to_string()).await?;
        tokens.push(answer.get("token").and_then(serde_json::Value::as_str).ok_or("no token")?.to_owned());
    }
    Ok(tokens)
}
