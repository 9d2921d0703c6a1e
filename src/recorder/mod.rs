//! The one piece that writes orders. Workers give it batches; the embedded deployment and a `serve` whose broker is down give it
//! single orders, which it gathers into batches.

mod gathering;

pub use gathering::Recorder;

use crate::{
    domain::{Instant, now, order::NewOrder},
    store::{Error, Store, record, record::Recording},
};
use futures_util::{FutureExt, future::BoxFuture};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant as Tick;

/// How long to look for the orders that the database fails on.
const SEARCH: Duration = Duration::from_secs(60);

/// The most orders in one transaction.
pub const BATCH: usize = 500;

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored now, and was recorded at this time.
    Recorded(Instant),
    /// It was stored before.
    AlreadyThere,
    /// Another order is stored under its id.
    Conflict,
    /// The database refuses it.
    Refused(Refusal),
    /// The database fails on it, for a reason that is not known to last, and takes others.
    Failed(String),
    /// The database can't do it now: it is not stored.
    TryLater,
    /// The database did not say whether it stored it. Giving it again is harmless.
    Undecided,
}

impl Outcome {
    /// Whether the database could not say more.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::TryLater | Self::Undecided)
    }
}

/// Why an order can't be stored, for staff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Of whom or what it is, this database knows nothing.
    #[error("{0}")]
    Unknown(String),
    /// The database will never accept it.
    #[error("{0}")]
    Other(String),
}

/// Stores a batch in one transaction and says for each order what became of it, in the same order.
///
/// An order that can't be stored does not hold back the others: its batch is split until it stands alone.
pub fn record_batch(store: &Store, batch: Arc<[NewOrder]>) -> BoxFuture<'_, Vec<Outcome>> {
    async move {
        let error = match attempt(store, &batch).await {
            Ok(outcomes) => return outcomes,
            Err(error) => error,
        };
        if error.may_pass() {
            tracing::warn!(%error, orders = batch.len(), "orders could not be recorded now");
            let outcome =
                if matches!(error, Error::Undecided(_)) { Outcome::Undecided } else { Outcome::TryLater };
            return vec![outcome; batch.len()];
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

async fn attempt(store: &Store, batch: &Arc<[NewOrder]>) -> Result<Vec<Outcome>, Error> {
    let (batch, at) = (Arc::clone(batch), now());
    let recording = store.write(move |conn| async move { record::record(conn, &batch, at).await }.boxed());
    Ok(recording.await?.into_iter().map(|recording| Outcome::of(recording, at)).collect())
}

/// Stores a batch that fails for no known reason, in ever smaller parts, while the database takes orders as such. What it
/// fails on alone has [failed](Outcome::Failed); what could not be tried may be tried later.
pub async fn record_apart(store: &Store, batch: &[NewOrder]) -> Vec<Outcome> {
    let deadline = Tick::now() + SEARCH;
    let mut outcomes = vec![Outcome::TryLater; batch.len()];
    let mut parts = Vec::new();
    parts.push(0..batch.len());
    while let Some(part) = parts.pop() {
        let Some(orders) = batch.get(part.clone()) else { continue };
        let error = match attempt(store, &orders.into()).await {
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
            tracing::warn!(%error, "the database takes no orders now");
            break;
        }
        if part.len() > 1 {
            let middle = part.start + part.len() / 2;
            parts.extend([middle..part.end, part.start..middle]);
        } else if let Some(outcome) = outcomes.get_mut(part.start) {
            *outcome = if error.may_pass() { Outcome::Failed(record::why(&error)) } else { refusal(&error) };
        }
        if Tick::now() >= deadline {
            break;
        }
    }
    outcomes
}

/// Whether the database takes orders as such: tried with one that is taken back at once.
pub async fn takes_orders(store: &Store) -> Result<(), Error> {
    store.write(|conn| record::rehearse(conn, now()).boxed()).await
}

fn refusal(error: &Error) -> Outcome {
    let why = record::why(error);
    Outcome::Refused(match error {
        Error::UnknownReference(_) => Refusal::Unknown(why),
        _ => Refusal::Other(why),
    })
}

impl Outcome {
    fn of(recording: Recording, at: Instant) -> Self {
        match recording {
            Recording::Stored => Self::Recorded(at),
            Recording::AlreadyThere => Self::AlreadyThere,
            Recording::Conflict => Self::Conflict,
        }
    }
}
