//! The one piece that writes orders. Workers give it batches; the embedded deployment and a `serve` whose broker is down give it
//! single orders, which it gathers into batches.

mod batch;
mod dead_letter_resolution;
mod record_queue;

pub use dead_letter_resolution::resolve_letters;
pub use record_queue::Recorder;

use crate::{
    domain::{Timestamp, ids::OrderId, now, order::NewOrder},
    store::{
        Conn, Error, Store,
        insert_orders::{self, InsertOutcome},
    },
    telemetry::{
        log_throttle,
        metrics::{self, MetricLabel},
        traces::{Span, TraceContext},
    },
};
use batch::Batch;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant as Tick;

/// How long to look for the orders that the database fails on.
const SPLIT_TIMEOUT: Duration = Duration::from_secs(60);

/// The most orders in one transaction.
pub const MAX_BATCH_ORDERS: usize = 500;

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It is stored now, and was recorded at this time.
    Recorded(Timestamp),
    /// It was stored before.
    AlreadyThere,
    /// Another order of the same customer is stored under its id: they used a key twice.
    KeyReused,
    /// Another customer's order is stored under its id.
    Conflict,
    /// The database refuses it.
    Refused(Refusal),
    /// The database fails on it, for a reason that is not known to last, and takes others.
    Failed(String),
    /// The database can't do it now: it is not stored.
    Retryable,
    /// The database did not say whether it stored it. Giving it again is harmless.
    Unknown,
}

impl RecordOutcome {
    /// Whether the database could not say more.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Retryable | Self::Unknown)
    }
}

/// Why an order can't be stored, for staff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Of whom or what it is, this database knows nothing.
    #[error("{0}")]
    Unknown(String),
    /// The database can't hold one of its values.
    #[error("{0}")]
    InvalidValue(String),
    /// The database will never accept it.
    #[error("{0}")]
    Other(String),
}

/// The span of storing a batch of so many orders: linked to each of them that is traced, for all have one commit.
pub fn batch_span<'a>(places: impl Iterator<Item = &'a TraceContext>, orders: usize) -> Span {
    let mut span = Span::for_batch(places, "record batch");
    if span.is_recorded() {
        span.set("shakerqueue.orders", i64::try_from(orders).unwrap_or(i64::MAX));
    }
    span
}

/// Stores a batch in one transaction and says for each order what became of it, in the same order.
///
/// An order that can't be stored does not hold back the others: its batch is split until it stands alone.
pub async fn record_batch(store: &Store, batch: Arc<[NewOrder]>) -> Vec<RecordOutcome> {
    record_all(store, batch.into()).await
}

/// Stores a batch. What is given up before its transaction begins is left out of it, and has [`RecordOutcome::Retryable`].
async fn record_all(store: &Store, batch: Batch) -> Vec<RecordOutcome> {
    let outcomes = record_in_parts(store, batch.clone()).await;
    count(batch.orders(), &outcomes);
    outcomes
}

async fn record_in_parts(store: &Store, batch: Batch) -> Vec<RecordOutcome> {
    let error = match attempt(store, &batch).await {
        Ok(outcomes) => return outcomes,
        Err(error) => error,
    };
    if error.is_transient() {
        if let Some(repeated) = log_throttle::admit(&error.to_string()) {
            tracing::warn!(%error, orders = batch.orders().len(), repeated, "failed to record orders; they can be tried again");
        }
        return batch.outcomes_of_failure(&error);
    }
    match batch.halves() {
        Some((left, right)) => {
            let mut outcomes = Box::pin(record_in_parts(store, left)).await;
            outcomes.extend(Box::pin(record_in_parts(store, right)).await);
            outcomes
        }
        None => vec![refusal(&error); batch.orders().len()],
    }
}

async fn attempt(store: &Store, batch: &Batch) -> Result<Vec<RecordOutcome>, Error> {
    let (begun, at, writing) = (Tick::now(), now(), batch.clone());
    // Under their ids the orders are the same, however often they are stored.
    let recording = store.write_idempotent(async move |conn| write(conn, writing.begin(), at).await);
    let recorded = recording.await?;
    // Only what was stored: a database that is away refuses at once, and would look fast.
    if !recorded.is_empty() {
        let metrics = metrics::recorder();
        #[expect(clippy::cast_precision_loss, reason = "there are never that many")]
        metrics.batch_orders.observe(recorded.len() as f64);
        metrics.batch_duration.observe(begun.elapsed().as_secs_f64());
    }
    Ok(batch.outcomes(recorded.into_iter().map(|recording| RecordOutcome::of(recording, at))))
}

/// Stores the orders of a batch, and resolves what dead letters they left before. Belongs in a transaction.
async fn write(conn: &mut Conn, batch: Arc<[NewOrder]>, at: Timestamp) -> Result<Vec<InsertOutcome>, Error> {
    // All were given up while they waited.
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let recorded = insert_orders::record(conn, &batch, at).await?;
    let is_stored =
        |recording: &InsertOutcome| matches!(recording, InsertOutcome::Stored | InsertOutcome::AlreadyThere);
    let outcomes = batch.iter().zip(&recorded);
    let stored: Vec<OrderId> =
        outcomes.filter(|(_, recording)| is_stored(recording)).map(|(order, _)| order.id).collect();
    resolve_letters(conn, &stored, at).await?;
    Ok(recorded)
}

/// Counts what became of orders.
fn count(batch: &[NewOrder], outcomes: &[RecordOutcome]) {
    let (metrics, at) = (metrics::recorder(), now());
    for (order, outcome) in batch.iter().zip(outcomes) {
        metrics.orders.of(outcome.label()).inc();
        if let RecordOutcome::Recorded(_) = outcome {
            // Another process has accepted it, whose clock may differ.
            let delay = (at.0 - order.placed_at.0).to_std().unwrap_or_default();
            metrics.delay.observe(delay.as_secs_f64());
        }
    }
}

/// Stores a batch that fails for no known reason, in ever smaller parts, while the database takes orders as such. What it
/// fails on alone has [failed](RecordOutcome::Failed); what could not be tried may be tried later.
pub async fn record_apart(store: &Store, batch: &[NewOrder]) -> Vec<RecordOutcome> {
    let deadline = Tick::now() + SPLIT_TIMEOUT;
    let mut outcomes = vec![RecordOutcome::Retryable; batch.len()];
    let mut parts = Vec::new();
    parts.push(0..batch.len());
    while let Some(part) = parts.pop() {
        let Some(orders) = batch.get(part.clone()) else { continue };
        let error = match attempt(store, &Arc::<[NewOrder]>::from(orders).into()).await {
            Ok(recorded) => {
                for (outcome, recorded) in outcomes.iter_mut().skip(part.start).zip(recorded) {
                    *outcome = recorded;
                }
                continue;
            }
            Err(error) => error,
        };
        // Is it these orders, or the database?
        if let Err(error) = takes_orders(store).await {
            if let Some(repeated) = log_throttle::admit(&error.to_string()) {
                tracing::warn!(%error, repeated, "the database takes no orders now");
            }
            break;
        }
        if part.len() > 1 {
            let middle = part.start + part.len() / 2;
            parts.extend([middle..part.end, part.start..middle]);
        } else if let Some(outcome) = outcomes.get_mut(part.start) {
            *outcome = if error.is_transient() {
                RecordOutcome::Failed(insert_orders::why(&error))
            } else {
                refusal(&error)
            };
        }
        if Tick::now() >= deadline {
            break;
        }
    }
    count(batch, &outcomes);
    outcomes
}

/// Whether the database takes orders as such: tried with one that is taken back at once.
pub async fn takes_orders(store: &Store) -> Result<(), Error> {
    store.write(async |conn| insert_orders::probe_insert(conn, now()).await).await
}

fn refusal(error: &Error) -> RecordOutcome {
    let why = insert_orders::why(error);
    RecordOutcome::Refused(match error {
        Error::UnknownReference(_) => Refusal::Unknown(why),
        Error::InvalidValue(_) => Refusal::InvalidValue(why),
        _ => Refusal::Other(why),
    })
}

impl MetricLabel for RecordOutcome {
    fn label(&self) -> &'static str {
        match self {
            Self::Recorded(_) => "recorded",
            Self::AlreadyThere => "duplicate",
            Self::KeyReused => "key_reused",
            Self::Conflict => "conflict",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
            Self::Retryable => "try_later",
            Self::Unknown => "undecided",
        }
    }
}

impl RecordOutcome {
    fn of(recording: InsertOutcome, at: Timestamp) -> Self {
        match recording {
            InsertOutcome::Stored => Self::Recorded(at),
            InsertOutcome::AlreadyThere => Self::AlreadyThere,
            InsertOutcome::KeyReused => Self::KeyReused,
            InsertOutcome::Conflict => Self::Conflict,
        }
    }
}
