//! Staff and guests who follow orders on streams during a fault, as pages do.
//!
//! A viewer whose stream ends resumes at any `serve` with the last id. A viewer who is told to reads the lists again.
//! A viewer knows of an order when it was last changed, because lists have no versions and each transition is later
//! than the one before.

use crate::{
    Result,
    harness::{
        events::{Block, OrderEvent, Parser},
        tokens::Tokens,
        wait::until,
    },
    load::ANSWER_TIMEOUT,
};
use chrono::{DateTime, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const STAFF: usize = 10;
const GUESTS: usize = 10;
/// Pause before a stream is resumed, or a list is read again after a failure.
const RETRY_DELAY_MS: std::ops::Range<u64> = 100..700;
/// Silence until the first event, and then in heartbeats, after which a stream is given up.
const FIRST_SILENCE: Duration = Duration::from_secs(5);
const MAX_MISSED_HEARTBEATS: f64 = 2.5;
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
const PAGE_ORDERS: u32 = 100;

/// Each order of the database, the time of its last change, and whether it is the guests'.
const LATEST: &str = "SELECT o.id::text, o.updated_at, u.email = 'user@example.com'
                      FROM orders o JOIN users u ON u.id = o.customer_id";

pub struct Viewers {
    viewers: Vec<Arc<Viewer>>,
    watching: JoinSet<()>,
    stop: CancellationToken,
}

struct Viewer {
    name: String,
    serves: [SocketAddr; 2],
    token: String,
    /// Id of the board of staff.
    board: Option<Uuid>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    orders: HashMap<String, DateTime<Utc>>,
    /// Id behind the last batch.
    cursor: Option<String>,
    counts: StreamCounts,
    findings: Vec<String>,
}

/// Numbers of streams, of events about orders, and of orders to read everything again.
#[derive(Debug, Default, Clone, Copy)]
pub struct StreamCounts {
    pub opened: usize,
    pub events: usize,
    pub resets: usize,
}

/// What one stream has sent.
#[derive(Default)]
struct Sent {
    versions: HashSet<(String, i32)>,
    heartbeat: Option<Duration>,
}

#[derive(Deserialize)]
struct Page {
    orders: Vec<ListedOrder>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct ListedOrder {
    id: String,
    updated_at: DateTime<Utc>,
}

impl Viewers {
    pub fn start(serves: [SocketAddr; 2], tokens: &Tokens, rng: &mut StdRng) -> Result<Self> {
        let staff = (1..=STAFF).map(|number| (format!("staff {number}"), &tokens.bartender, true));
        let guests = (1..=GUESTS).map(|number| (format!("guest {number}"), &tokens.guest, false));
        let mut this = Self { viewers: Vec::new(), watching: JoinSet::new(), stop: CancellationToken::new() };
        for (name, token, is_staff) in staff.chain(guests) {
            let board = is_staff.then(|| Uuid::from_u128(rng.random()));
            let viewer = Viewer { name, serves, token: token.clone(), board, seen: Mutex::default() };
            let viewer = Arc::new(viewer);
            this.viewers.push(Arc::clone(&viewer));
            let http = Client::builder().connect_timeout(ANSWER_TIMEOUT).build()?;
            let (stop, rng) = (this.stop.clone(), StdRng::from_rng(rng));
            this.watching.spawn(async move {
                stop.run_until_cancelled(viewer.watch(http, rng)).await;
            });
        }
        Ok(this)
    }

    /// Waits until each viewer knows the latest version of every order that they may see. Nothing may change meanwhile.
    pub async fn are_current(&self, database: &tokio_postgres::Client) -> Result<()> {
        let mut behind = None;
        let current = until("every viewer has the latest version of every order", async || {
            let latest: Vec<(String, DateTime<Utc>, bool)> = database
                .query(LATEST, &[])
                .await?
                .iter()
                .map(|row| (row.get(0), row.get(1), row.get(2)))
                .collect();
            behind = self.viewers.iter().find_map(|viewer| viewer.behind(&latest));
            if behind.is_none() {
                return Ok(Some(()));
            }
            sleep(CHECK_INTERVAL).await;
            Ok(None)
        })
        .await;
        current.map_err(|error| format!("{error}: {}", behind.unwrap_or_default()).into())
    }

    /// Ends all streams. Returns the violations that viewers noticed.
    pub async fn stop(&mut self) -> Vec<String> {
        self.stop.cancel();
        while self.watching.join_next().await.is_some() {}
        self.viewers.iter().flat_map(|viewer| std::mem::take(&mut viewer.seen().findings)).collect()
    }

    pub fn counts(&self) -> StreamCounts {
        let mut sum = StreamCounts::default();
        for viewer in &self.viewers {
            let StreamCounts { opened, events, resets } = viewer.seen().counts;
            sum.opened += opened;
            sum.events += events;
            sum.resets += resets;
        }
        sum
    }
}

impl Viewer {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what this viewer does not know, or should not.
    fn behind(&self, latest: &[(String, DateTime<Utc>, bool)]) -> Option<String> {
        let seen = self.seen();
        let (visible, hidden): (Vec<_>, Vec<_>) =
            latest.iter().partition(|(_, _, is_guests)| self.board.is_some() || *is_guests);
        if let Some((id, ..)) = hidden.iter().find(|(id, ..)| seen.orders.contains_key(id)) {
            return Some(format!("{} saw {id}, which is somebody else's", self.name));
        }
        let missing: Vec<_> = visible.iter().filter(|(id, at, _)| seen.orders.get(id) != Some(at)).collect();
        let Some((id, at, _)) = missing.first() else {
            let has_more = seen.orders.len() > visible.len();
            return has_more.then(|| format!("{} saw orders that are not recorded", self.name));
        };
        Some(format!(
            "{} lacks the latest version of {} of {} orders, such as that of {at} of {id}; it has {:?}",
            self.name,
            missing.len(),
            visible.len(),
            seen.orders.get(id)
        ))
    }

    /// Follows one stream after the other.
    async fn watch(&self, http: Client, mut rng: StdRng) {
        loop {
            let serve = self.serves[rng.random_range(0..2)];
            // It ends with an error when its serve, its connection or the database fails, which is what faults do.
            let _ = self.follow(&http, serve, &mut rng).await;
            sleep(Duration::from_millis(rng.random_range(RETRY_DELAY_MS))).await;
        }
    }

    /// Follows a stream to its end.
    async fn follow(&self, http: &Client, serve: SocketAddr, rng: &mut StdRng) -> Result<()> {
        let board = self.board.map(|board| format!("?board={board}")).unwrap_or_default();
        let mut request = self.get(http, serve, &format!("/stream{board}"));
        let cursor = self.seen().cursor.clone();
        if let Some(cursor) = &cursor {
            request = request.header("Last-Event-ID", cursor);
        }
        let mut response = timeout(ANSWER_TIMEOUT, request.send()).await??.error_for_status()?;
        self.seen().counts.opened += 1;
        let (mut parser, mut sent) = (Parser::default(), Sent::default());
        // The first time, the lists come after the beginning of the stream: an overlap is possible, a gap is not.
        let mut must_read_lists = cursor.is_none();
        loop {
            let silence = sent.heartbeat.map_or(FIRST_SILENCE, |every| every.mul_f64(MAX_MISSED_HEARTBEATS));
            let Some(bytes) = timeout(silence, response.chunk()).await?? else { return Ok(()) };
            parser.push(&bytes);
            while let Some(block) = parser.next_block() {
                must_read_lists |= self.take(&block, &mut sent)?;
                if must_read_lists {
                    self.read_lists(http, rng).await;
                    must_read_lists = false;
                }
                if block.event == "bye" {
                    return Ok(());
                }
                if let Some(id) = block.id {
                    self.seen().cursor = Some(id);
                }
            }
        }
    }

    /// Applies an event. Returns true if the lists must be read again.
    fn take(&self, block: &Block, sent: &mut Sent) -> Result<bool> {
        let mut seen = self.seen();
        match block.event.as_str() {
            "hello" => {
                let hello: Value = serde_json::from_str(&block.data)?;
                let seconds = hello.get("heartbeat_seconds").and_then(Value::as_u64);
                sent.heartbeat = seconds.map(Duration::from_secs);
            }
            "order" => {
                let OrderEvent { id, version, updated_at } = serde_json::from_str(&block.data)?;
                seen.counts.events += 1;
                if !sent.versions.insert((id.clone(), version)) {
                    seen.findings
                        .push(format!("{} got version {version} of {id} twice in one stream", self.name));
                }
                seen.note(id, updated_at.parse()?);
            }
            "reset" => {
                seen.counts.resets += 1;
                sent.versions.clear();
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }

    /// Reads all orders that this viewer may see, as often as it takes.
    async fn read_lists(&self, http: &Client, rng: &mut StdRng) {
        while self.read_all(http, self.serves[rng.random_range(0..2)]).await.is_err() {
            sleep(Duration::from_millis(rng.random_range(RETRY_DELAY_MS))).await;
        }
    }

    async fn read_all(&self, http: &Client, serve: SocketAddr) -> Result<()> {
        let mut path = format!("/orders?limit={PAGE_ORDERS}");
        loop {
            let request = self.get(http, serve, &path).timeout(ANSWER_TIMEOUT);
            let page: Page = request.send().await?.error_for_status()?.json().await?;
            for ListedOrder { id, updated_at } in page.orders {
                self.seen().note(id, updated_at);
            }
            let Some(cursor) = page.next_cursor else { return Ok(()) };
            path = format!("/orders?limit={PAGE_ORDERS}&cursor={cursor}");
        }
    }

    fn get(&self, http: &Client, serve: SocketAddr, path: &str) -> RequestBuilder {
        http.get(format!("http://{serve}{path}")).bearer_auth(&self.token)
    }
}

impl Seen {
    /// Notes an order, unless a later version of it is known.
    fn note(&mut self, id: String, updated_at: DateTime<Utc>) {
        let known = self.orders.entry(id).or_insert(updated_at);
        *known = updated_at.max(*known);
    }
}
