//! The only writer of orders. Workers pass it batches; the embedded deployment, and a `serve` whose broker is
//! down, pass it single orders, which it gathers into batches.

mod batch;
mod record_queue;

pub use record_queue::Recorder;

use crate::{
    domain::{Timestamp, ids::OrderId, now, order::NewOrder},
    services::dead_letters,
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

/// Time limit for isolating the orders that the database fails on.
const SPLIT_TIMEOUT: Duration = Duration::from_secs(60);

pub const MAX_BATCH_ORDERS: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordOutcome {
    Recorded(Timestamp),
    AlreadyThere,
    /// Another order of the same customer has this id: the customer used a key twice.
    KeyReused,
    /// Another customer's order has this id.
    Conflict,
    Refused(Refusal),
    /// The database fails on this order for an unknown reason, and accepts others.
    Failed(String),
    /// Not recorded: the database is unavailable.
    Retryable,
    /// It is unknown whether it was recorded. A retry is harmless.
    Unknown,
}

impl RecordOutcome {
    /// Returns whether the order may succeed on a retry.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Retryable | Self::Unknown)
    }
}

/// Reason, shown to staff, that an order can't be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It refers to an account or a recipe that this database does not have.
    #[error("{0}")]
    Unknown(String),
    /// The database can't represent one of its values.
    #[error("{0}")]
    InvalidValue(String),
    #[error("{0}")]
    Other(String),
}

/// Makes the span of recording a batch, linked to each traced order in it, because they share one commit.
pub fn batch_span<'a>(traces: impl Iterator<Item = &'a TraceContext>, orders: usize) -> Span {
    let mut span = Span::for_batch(traces, "record batch");
    if span.is_recorded() {
        span.set("shakerqueue.orders", i64::try_from(orders).unwrap_or(i64::MAX));
    }
    span
}

/// Records a batch in one transaction and returns an outcome for each order, in the same order. Orders abandoned
/// before the transaction begins are left out, with [`RecordOutcome::Retryable`].
///
/// An order that can't be recorded does not hold back the others: the batch is split until it stands alone.
pub async fn record_batch(store: &Store, batch: impl Into<Batch>) -> Vec<RecordOutcome> {
    let batch = batch.into();
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
            tracing::warn!(%error, orders = batch.orders().len(), repeated, "failed to record orders; they can be retried");
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
    // Idempotent, because the orders keep their ids.
    let recording = store.write_idempotent(async move |conn| write(conn, writing.begin(), at).await);
    let recorded = recording.await?;
    // Only if something was recorded: an unavailable database refuses at once, and would look fast.
    if !recorded.is_empty() {
        let metrics = metrics::recorder();
        #[expect(clippy::cast_precision_loss, reason = "there are never that many")]
        metrics.batch_orders.observe(recorded.len() as f64);
        metrics.batch_duration.observe(begun.elapsed().as_secs_f64());
    }
    Ok(batch.outcomes(recorded.into_iter().map(|recording| RecordOutcome::of(recording, at))))
}

/// Inserts the orders of a batch and resolves their dead letters. Belongs in a transaction.
async fn write(conn: &mut Conn, batch: Arc<[NewOrder]>, at: Timestamp) -> Result<Vec<InsertOutcome>, Error> {
    // All were abandoned while they waited.
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let recorded = insert_orders::record(conn, &batch, at).await?;
    let is_stored =
        |recording: &InsertOutcome| matches!(recording, InsertOutcome::Stored | InsertOutcome::AlreadyThere);
    let outcomes = batch.iter().zip(&recorded);
    let stored: Vec<OrderId> =
        outcomes.filter(|(_, recording)| is_stored(recording)).map(|(order, _)| order.id).collect();
    dead_letters::resolve_open(conn, &stored, at).await?;
    Ok(recorded)
}

fn count(batch: &[NewOrder], outcomes: &[RecordOutcome]) {
    let (metrics, at) = (metrics::recorder(), now());
    for (order, outcome) in batch.iter().zip(outcomes) {
        metrics.orders.of(outcome.label()).inc();
        if let RecordOutcome::Recorded(_) = outcome {
            // Accepted by another process, whose clock may differ.
            let delay = (at.0 - order.placed_at.0).to_std().unwrap_or_default();
            metrics.delay.observe(delay.as_secs_f64());
        }
    }
}

/// Records a batch that fails for an unknown reason in ever smaller parts, while the database accepts orders
/// as such. An order that fails alone has [`RecordOutcome::Failed`]; those that were not tried can be
/// retried.
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
        // Tells whether these orders or the database are the problem.
        if let Err(error) = takes_orders(store).await {
            if let Some(repeated) = log_throttle::admit(&error.to_string()) {
                tracing::warn!(%error, repeated, "the database accepts no orders now");
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

/// Checks that the database accepts orders, by inserting one and deleting it again.
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
