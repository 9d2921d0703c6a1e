//! Where accepted orders go.

use super::{NotTaken, message, stored::StoredOrders};
use crate::{
    domain::{self, ids::OrderId, order::NewOrder},
    queue::{PublishError, Publisher},
    recorder::{Outcome, Recorder},
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a guest waits at most for the word that an order is safe, or that it can't be made so.
const PATIENCE: Duration = Duration::from_millis(950);

/// How an order was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The broker has it on disk; a worker will store it.
    Queued,
    /// It is stored: since when, unless it was there before and may have moved since.
    Stored(Option<domain::Instant>),
}

/// Keeps orders safe.
pub trait OrderSink: Send + Sync {
    /// Takes an order. Taking the same order twice is harmless.
    fn take(&self, order: Arc<NewOrder>) -> BoxFuture<'_, Result<Taken, NotTaken>>;

    /// The order that is stored under an id, as it was placed, where [`Self::take`] alone would not find it, and it is known in time.
    fn stored(&self, id: OrderId) -> BoxFuture<'_, Option<NewOrder>>;
}

/// Stores orders at once.
pub struct Direct(pub Recorder);

/// Gives orders to the broker, and stores them at once while that is down.
pub struct BrokerFirst {
    /// The way to the broker.
    pub publisher: Publisher,
    /// The way round it.
    pub recorder: Recorder,
    /// The orders whose keys are used.
    pub stored: StoredOrders,
}

impl OrderSink for Direct {
    fn take(&self, order: Arc<NewOrder>) -> BoxFuture<'_, Result<Taken, NotTaken>> {
        store(&self.0, order, Instant::now() + PATIENCE).boxed()
    }

    fn stored(&self, _: OrderId) -> BoxFuture<'_, Option<NewOrder>> {
        // Storing an order finds it.
        ready(None).boxed()
    }
}

impl OrderSink for BrokerFirst {
    fn take(&self, order: Arc<NewOrder>) -> BoxFuture<'_, Result<Taken, NotTaken>> {
        async move {
            let deadline = Instant::now() + PATIENCE;
            let sent = match self.publisher.publish(order.id.0, message::encode(&order)).await {
                Ok(()) => return Ok(Taken::Queued),
                // More than the broker can confirm is also more than the database should get on top.
                Err(PublishError::Busy) => return Err(NotTaken::Unavailable),
                Err(PublishError::Unavailable | PublishError::NoQueue) => false,
                Err(PublishError::Unconfirmed | PublishError::Refused) => true,
            };
            // Whether or not it reached the queue: recorded under the same id, it is one order.
            match store(&self.recorder, order, deadline).await {
                // A worker may come to another end with what was sent.
                Err(NotTaken::Unavailable | NotTaken::Refused(_)) if sent => Err(NotTaken::Undecided),
                outcome => outcome,
            }
        }
        .boxed()
    }

    fn stored(&self, id: OrderId) -> BoxFuture<'_, Option<NewOrder>> {
        self.stored.find(id).boxed()
    }
}

async fn store(recorder: &Recorder, order: Arc<NewOrder>, deadline: Instant) -> Result<Taken, NotTaken> {
    match recorder.record(Arc::unwrap_or_clone(order), deadline).await {
        Outcome::Recorded(at) => Ok(Taken::Stored(Some(at))),
        Outcome::AlreadyThere => Ok(Taken::Stored(None)),
        Outcome::KeyReused | Outcome::Conflict => Err(NotTaken::Conflict),
        Outcome::Refused(refusal) => Err(NotTaken::Refused(refusal)),
        Outcome::TryLater | Outcome::Failed(_) => Err(NotTaken::Unavailable),
        Outcome::Undecided => Err(NotTaken::Undecided),
    }
}
