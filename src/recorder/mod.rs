//! The one piece that writes orders. Workers give it batches; the embedded deployment and a `serve` whose broker is down give it
//! single orders, which it gathers into batches.

mod gathering;

pub use gathering::Recorder;

use crate::{
    domain::{now, order::NewOrder},
    store::{Error, Store, record, record::Recording},
};
use futures_util::{FutureExt, future::BoxFuture};
use rand::random_range;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// The most attempts at finding out which orders the database fails on.
const MOST_ATTEMPTS: usize = 100;

/// How often an order must fail while another one is taken.
const ROUNDS: usize = 4;

/// The most orders in one transaction.
pub const BATCH: usize = 500;

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored now.
    Recorded,
    /// It was stored before.
    AlreadyThere,
    /// Another order is stored under its id.
    Conflict,
    /// It can never be stored.
    Refused(Refusal),
    /// The database can't do it now.
    TryLater,
}

/// Why an order can never be stored, for staff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Of whom or what it is, this database knows nothing.
    #[error("it names a customer or a recipe that does not exist")]
    Unknown,
    /// The database says why.
    #[error("{0}")]
    Other(String),
}

/// Stores a batch in one transaction and says for each order what became of it, in the same order.
///
/// An order that can't be stored does not hold back the others: its batch is split until it stands alone.
pub fn record_batch(store: &Store, batch: Arc<[NewOrder]>) -> BoxFuture<'_, Vec<Outcome>> {
    async move {
        let writing = Arc::clone(&batch);
        let error = match store
            .write(move |conn| async move { record::record(conn, &writing, now()).await }.boxed())
            .await
        {
            Ok(recordings) => return recordings.into_iter().map(Outcome::from).collect(),
            Err(error) => error,
        };
        if error.may_pass() {
            tracing::warn!(%error, orders = batch.len(), "orders could not be recorded now");
            return vec![Outcome::TryLater; batch.len()];
        }
        match batch.split_at_checked(batch.len() / 2) {
            Some((left, right)) if !left.is_empty() => {
                let mut outcomes = record_batch(store, left.into()).await;
                outcomes.extend(record_batch(store, right.into()).await);
                outcomes
            }
            _ => vec![refusal(&error); batch.len()],
        }
    }
    .boxed()
}

/// Stores a batch that keeps failing for no known reason, in ever smaller parts. An order that keeps failing alone while
/// others of its batch are taken is refused; if none is taken, it is the database that fails, and all may be tried later.
pub async fn record_apart(store: &Store, batch: &[NewOrder]) -> Vec<Outcome> {
    let mut outcomes = vec![Outcome::TryLater; batch.len()];
    let mut alone = Vec::new();
    let mut parts = Vec::new();
    parts.push(0..batch.len());
    for _ in 0..MOST_ATTEMPTS {
        let Some(part) = parts.pop() else { break };
        let Some(orders) = batch.get(part.clone()) else { continue };
        let recorded = record_batch(store, orders.into()).await;
        if !recorded.contains(&Outcome::TryLater) {
            for (outcome, recorded) in outcomes.iter_mut().skip(part.start).zip(recorded) {
                *outcome = recorded;
            }
        } else if part.len() > 1 {
            let middle = part.start + part.len() / 2;
            parts.extend([middle..part.end, part.start..middle]);
        } else {
            alone.push(part.start);
        }
    }
    let taken = |outcome: &Outcome| matches!(outcome, Outcome::Recorded | Outcome::AlreadyThere);
    let Some(witness) = outcomes.iter().position(taken).and_then(|at| batch.get(at)) else { return outcomes };
    for at in alone {
        if let (Some(order), Some(outcome)) = (batch.get(at), outcomes.get_mut(at)) {
            *outcome = record_beside(store, order, witness).await;
        }
    }
    outcomes
}

/// Tries an order in turn with one that the database has taken, which tells the order's fault from the database's.
async fn record_beside(store: &Store, order: &NewOrder, witness: &NewOrder) -> Outcome {
    for _ in 0..ROUNDS {
        let alone = record_batch(store, Arc::from([order.clone()])).await;
        if let Some(outcome) = alone.into_iter().find(|outcome| *outcome != Outcome::TryLater) {
            return outcome;
        }
        if record_batch(store, Arc::from([witness.clone()])).await.contains(&Outcome::TryLater) {
            return Outcome::TryLater;
        }
        sleep(Duration::from_millis(random_range(200..400))).await;
    }
    tracing::error!(order = %order.id, "the database takes others and not this order");
    Outcome::Refused(Refusal::Other("the database keeps failing on it, and takes others".into()))
}

fn refusal(error: &Error) -> Outcome {
    Outcome::Refused(match error {
        Error::UnknownReference(_) => Refusal::Unknown,
        other => Refusal::Other(other.to_string()),
    })
}

impl From<Recording> for Outcome {
    fn from(recording: Recording) -> Self {
        match recording {
            Recording::Stored => Self::Recorded,
            Recording::AlreadyThere => Self::AlreadyThere,
            Recording::Conflict => Self::Conflict,
        }
    }
}
