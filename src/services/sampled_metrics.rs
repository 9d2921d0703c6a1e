//! Prometheus metrics, with gauges sampled from the database and the broker on a scrape, once a second at most.

use crate::{
    broker::Source,
    domain::{Timestamp as Moment, now, order_state::Status},
    services::{
        feed::Feed,
        health::{BROKER, DATABASE, DatabaseState, Health},
    },
    store::{Store, counts},
    telemetry::metrics::{self, MetricLabel},
};
use futures_util::future::BoxFuture;
use std::{sync::Arc, time::Duration};
use tokio::{
    join,
    sync::Mutex,
    task::spawn_blocking,
    time::{Instant, timeout},
};

/// Limit for sampling a part, besides its health check; together well within the 10 s that Prometheus waits.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(2);
/// Age up to which samples are reused.
const SAMPLE_LIFETIME: Duration = Duration::from_secs(1);

/// Returns since when the oldest order waits that this process knows of and that is not stored.
pub type OldestWaiting = Box<dyn Fn() -> BoxFuture<'static, Option<Moment>> + Send + Sync>;

/// The text of all metrics, and the time at which its rendering began.
type Rendering = (Instant, Arc<[u8]>);

#[derive(Clone)]
pub struct SampledMetrics {
    health: Health,
    /// `None` where nothing reads the feed.
    feed: Option<Feed>,
    oldest_waiting: Arc<OldestWaiting>,
    sampled_at: Arc<Mutex<Option<Instant>>>,
    text: Arc<Mutex<Option<Rendering>>>,
}

impl SampledMetrics {
    /// Registers the metrics of a process with this role, so that they are exported from the start.
    pub fn new(
        role: &str,
        deployment: &str,
        health: Health,
        feed: Option<Feed>,
        oldest_waiting: OldestWaiting,
    ) -> Self {
        let build = [env!("CARGO_PKG_VERSION"), env!("REVISION"), role, deployment];
        metrics::process().build.with_label_values(&build).set(1.0);
        metrics::http();
        metrics::recorder();
        metrics::board();
        if health.broker.is_some() {
            metrics::broker();
        }
        Self {
            health,
            feed,
            oldest_waiting: Arc::new(oldest_waiting),
            sampled_at: Arc::default(),
            text: Arc::default(),
        }
    }

    pub async fn metrics(&self) -> Arc<[u8]> {
        let requested_at = Instant::now();
        let mut sampled_at = self.sampled_at.lock().await;
        if sampled_at.is_none_or(|sampled_at| sampled_at.elapsed() > SAMPLE_LIFETIME) {
            self.sample().await;
            *sampled_at = Some(Instant::now());
        }
        drop(sampled_at);
        // Thousands of lines: one rendering at a time, on a blocking thread, serves all scrapes that wait.
        let mut last = self.text.lock().await;
        if let Some((_, text)) = last.as_ref().filter(|(at, _)| *at >= requested_at) {
            return text.clone();
        }
        let at = Instant::now();
        self.show_connections();
        self.show_feed();
        let text: Arc<[u8]> = spawn_blocking(metrics::text).await.unwrap_or_default().into();
        *last = Some((at, text.clone()));
        text
    }

    async fn sample(&self) {
        let report = self.health.report().await;
        let up = |part: &str, up: bool| {
            metrics::database().up.with_label_values(&[part]).set(f64::from(u8::from(up)));
        };
        let answers = report.database != DatabaseState::Down;
        up(DATABASE, answers);
        let read_only = report.database == DatabaseState::ReadOnly;
        metrics::database().read_only.set(i64::from(read_only));
        if let Some(broker) = report.broker {
            up(BROKER, broker);
        }
        join!(self.sample_database(answers), self.sample_broker(), self.sample_oldest_waiting());
    }

    async fn sample_database(&self, is_up: bool) {
        let metrics = metrics::board();
        let counted = if is_up {
            timeout(SAMPLE_TIMEOUT, count_all(&self.health.store)).await.ok().flatten()
        } else {
            None
        };
        let now = now();
        for (at, status) in ON_BOARD.iter().enumerate() {
            let counts = counted.as_ref().and_then(|counted| counted.orders.get(at));
            metrics.orders.of(status.label()).set(counts.map_or(f64::NAN, |counts| count(counts.orders)));
            metrics.oldest.of(status.label()).set(counts.map_or(f64::NAN, |counts| age(now, counts.oldest)));
        }
        metrics.dead_letters.set(counted.map_or(f64::NAN, |counted| count(counted.dead_letters)));
    }

    async fn sample_broker(&self) {
        let Some(broker) = &self.health.broker else { return };
        let ask = async |source: Source| {
            let depth = timeout(SAMPLE_TIMEOUT, broker.depth(source)).await.ok().and_then(Result::ok);
            let metrics = metrics::broker();
            metrics.messages.of(source.label()).set(depth.map_or(f64::NAN, |depth| depth.messages.into()));
            metrics.consumers.of(source.label()).set(depth.map_or(f64::NAN, |depth| depth.consumers.into()));
        };
        join!(ask(Source::Orders), ask(Source::Overrun));
    }

    async fn sample_oldest_waiting(&self) {
        // Exported also while the database is unavailable, when it matters most.
        let oldest = (self.oldest_waiting)().await;
        metrics::waiting().oldest.set(age(now(), oldest));
    }

    fn show_connections(&self) {
        let (metrics, connections) = (metrics::database(), self.health.store.connections());
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.connections.of("idle").set(number(connections.idle));
        metrics.connections.of("in_use").set(number(connections.in_use));
        metrics.max_connections.set(number(connections.most));
        metrics.waiting.set(number(connections.waiting));
    }

    fn show_feed(&self) {
        let Some(feed) = &self.feed else { return };
        metrics::feed().lag.set(feed.lag().as_secs_f64());
        metrics::feed().streams.set(i64::try_from(feed.streams()).unwrap_or(i64::MAX));
    }
}

/// The states of orders on the board.
const ON_BOARD: [Status; 3] = [Status::Pending, Status::InProgress, Status::Ready];

struct Counts {
    /// In the order of [`ON_BOARD`].
    orders: Vec<counts::StatusCount>,
    dead_letters: usize,
}

async fn count_all(store: &Store) -> Option<Counts> {
    let counted = store.read(async |conn| {
        let mut orders = Vec::new();
        for status in ON_BOARD {
            orders.push(counts::status_count(conn, status).await?);
        }
        Ok(Counts { orders, dead_letters: counts::open_dead_letters(conn).await? })
    });
    counted.await.inspect_err(|error| tracing::debug!(%error, "failed to count orders and dead letters")).ok()
}

#[expect(clippy::cast_precision_loss, reason = "there are never that many")]
fn count(count: usize) -> f64 {
    count as f64
}

/// Returns the age in seconds, 0 without a time.
fn age(now: Moment, since: Option<Moment>) -> f64 {
    since.and_then(|since| (now.0 - since.0).to_std().ok()).map_or(0.0, |age| age.as_secs_f64())
}
