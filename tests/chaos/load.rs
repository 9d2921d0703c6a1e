//! Guests who order and bartenders who make the drinks, until the load stops.

use crate::{
    Result,
    harness::tokens::Tokens,
    ledger::{Answer, Ledger, Reply, note},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedRwLockWriteGuard, RwLock},
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const GUESTS: usize = 6;
const BARTENDERS: usize = 2;
/// Pause of a guest between two orders, so that the machine is busy and not overloaded.
const PAUSE_MS: std::ops::Range<u64> = 10..40;
/// Requests for one order under a key, and the delay between them.
const MAX_REQUESTS: usize = 5;
const RETRY_DELAY_MS: std::ops::Range<u64> = 100..700;
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

pub struct Load {
    people: JoinSet<()>,
    counter: Arc<Counter>,
    stop: CancellationToken,
}

/// State that all tasks share.
struct Counter {
    serves: [SocketAddr; 2],
    drinks: Vec<String>,
    tokens: Tokens,
    ledger: Mutex<Ledger>,
    /// Read-locked during each attempt, so that a write lock makes the guests wait.
    gate: Arc<RwLock<()>>,
}

impl Load {
    pub fn start(
        serves: [SocketAddr; 2],
        tokens: &Tokens,
        drinks: &[String],
        rng: &mut StdRng,
    ) -> Result<Self> {
        let counter = Arc::new(Counter {
            serves,
            drinks: drinks.to_vec(),
            tokens: tokens.clone(),
            ledger: Mutex::default(),
            gate: Arc::default(),
        });
        let stop = CancellationToken::new();
        let mut people = JoinSet::new();
        for _ in 0..GUESTS {
            let http = Client::builder().timeout(ANSWER_TIMEOUT).build()?;
            people.spawn(guest(Arc::clone(&counter), stop.clone(), http, StdRng::from_rng(rng)));
        }
        for _ in 0..BARTENDERS {
            let http = Client::builder().timeout(ANSWER_TIMEOUT).build()?;
            people.spawn(bartender(Arc::clone(&counter), stop.clone(), http, StdRng::from_rng(rng)));
        }
        Ok(Self { people, counter, stop })
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.counter.ledger()
    }

    /// Waits until no attempt is under way, and lets none begin until the guard is dropped.
    pub async fn pause(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.counter.gate).write_owned().await
    }

    /// Places two orders under one key at once, one at each `serve`.
    pub async fn rivals(&self, http: &Client, rng: &mut StdRng) {
        let counter = &self.counter;
        let key = Uuid::from_u128(rng.random()).to_string();
        let (first, second) = (opened(counter, rng, true), opened(counter, rng, true));
        counter.ledger().rivals(first.0, second.0);
        let (mut one, mut other) = (StdRng::from_rng(rng), StdRng::from_rng(rng));
        tokio::join!(
            ask(counter, http, &mut one, first, Some(&key), 0),
            ask(counter, http, &mut other, second, Some(&key), 1),
        );
    }

    /// Stops the load and waits until each task has finished its last request.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        while self.people.join_next().await.is_some() {}
    }
}

impl Counter {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, by: usize) -> SocketAddr {
        let [first, second] = self.serves;
        if by == 0 { first } else { second }
    }

    fn post(&self, http: &Client, by: usize, path: &str, token: &str) -> RequestBuilder {
        http.post(format!("http://{}{path}", self.serve(by))).bearer_auth(token)
    }
}

async fn guest(counter: Arc<Counter>, stop: CancellationToken, http: Client, mut rng: StdRng) {
    while !stop.is_cancelled() {
        let turn = counter.gate.read().await;
        if stop.is_cancelled() {
            return;
        }
        let refused = order(&counter, &http, &mut rng).await;
        drop(turn);
        let pause = if refused { rng.random_range(RETRY_DELAY_MS) } else { rng.random_range(PAUSE_MS) };
        sleep(Duration::from_millis(pause)).await;
    }
}

/// Opens a new attempt in the ledger, and returns its number and its request body.
fn opened(counter: &Counter, rng: &mut StdRng, keyed: bool) -> (usize, Value) {
    let items: Vec<(String, u8)> = (0..rng.random_range(1..=3))
        .map(|_| {
            let drink = counter.drinks.get(rng.random_range(0..counter.drinks.len().max(1)));
            (drink.cloned().unwrap_or_default(), rng.random_range(1..=4))
        })
        .collect();
    let lines: Vec<_> = items.iter().map(|(recipe, quantity)| format!("{quantity} {recipe}")).collect();
    let number = counter.ledger().open(keyed, lines.join(", "));
    let items: Vec<_> =
        items.iter().map(|(recipe, quantity)| json!({ "recipe": recipe, "quantity": quantity })).collect();
    let table = rng.random_range(1..40).to_string();
    (number, json!({ "items": items, "table": table, "note": note(number) }))
}

/// Makes one attempt. Returns true if no order was accepted.
async fn order(counter: &Counter, http: &Client, rng: &mut StdRng) -> bool {
    let key = rng.random_bool(0.5).then(|| Uuid::from_u128(rng.random()).to_string());
    let asked = opened(counter, rng, key.is_some());
    let by = rng.random_range(0..2);
    ask(counter, http, rng, asked, key.as_deref(), by).await
}

/// Places an order, under a key several times, at each `serve` in turn. Returns true if it was not accepted.
async fn ask(
    counter: &Counter,
    http: &Client,
    rng: &mut StdRng,
    (number, body): (usize, Value),
    key: Option<&str>,
    mut by: usize,
) -> bool {
    for _ in 0..MAX_REQUESTS {
        let mut request = counter.post(http, by, "/orders", &counter.tokens.guest).json(&body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let asked = Instant::now();
        let (reply, again) = heard(request).await;
        let taken = matches!(reply, Reply::Accepted(..));
        counter.ledger().note(number, Answer { by, asked, took: asked.elapsed(), reply });
        if taken || !again || key.is_none() {
            return !taken;
        }
        sleep(Duration::from_millis(rng.random_range(RETRY_DELAY_MS))).await;
        by = 1 - by;
    }
    true
}

/// Sends a request. Returns the meaning of the answer, and true if a retry makes sense.
async fn heard(request: RequestBuilder) -> (Reply, bool) {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return (Reply::Refused("no connection".into()), false),
        Err(error) => return (Reply::Unknown(cause(&error)), true),
    };
    let status = response.status().as_u16();
    let body: Value = match response.json().await {
        Ok(body) => body,
        Err(error) => return (Reply::Unknown(format!("{status} and then {}", cause(&error))), true),
    };
    let said = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let problem = said("type");
    match status {
        201 | 202 => (Reply::Accepted(status, said("id")), false),
        503 if problem == "/problems/outcome-unknown" => (Reply::Unknown(format!("503 {problem}")), true),
        503 => (Reply::Refused(format!("503 {problem}")), true),
        400..500 => (Reply::Refused(format!("{status} {problem} {}", said("detail"))), false),
        _ => (Reply::Unknown(format!("{status} {problem}")), true),
    }
}

fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Claims, makes and completes orders. A failed request leaves the order as it is.
async fn bartender(counter: Arc<Counter>, stop: CancellationToken, http: Client, mut rng: StdRng) {
    while !stop.is_cancelled() {
        let by = rng.random_range(0..2);
        let moved = async |path: String| -> Option<Value> {
            let request = counter.post(&http, by, &path, &counter.tokens.bartender);
            let response = request.send().await.ok().filter(|response| response.status() == 200)?;
            response.json().await.ok()
        };
        let claimed = moved("/orders/next".to_owned()).await;
        let id = claimed.as_ref().and_then(|order| order.get("id")).and_then(Value::as_str);
        if let Some(id) = id
            && moved(format!("/orders/{id}/ready")).await.is_some()
        {
            moved(format!("/orders/{id}/complete")).await;
        } else {
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_millis(rng.random_range(PAUSE_MS))).await;
    }
}
