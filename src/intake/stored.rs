//! Orders that are stored under a key already: asked for before the broker gets another one under it.
//!
//! A `serve` knows the keys that it took itself and forgot none of. Of the others it asks the database, which orders never wait for
//! otherwise, so they don't wait for long: look-ups that come while one query runs share the next one, and without an answer in time
//! an order goes to the broker as it is, for the recorder to decide.

use crate::{
    domain::{ids::OrderId, order::NewOrder},
    replies::{self, Reply},
    store::{Store, orders},
    telemetry::metrics::{self, LookedUp},
};
use futures_util::FutureExt;
use std::{collections::HashMap, time::Duration};
use tokio::{sync::mpsc, time::timeout};

/// The most time that an order waits for its look-up.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(20);
/// The most look-ups that wait; further ones have no answer.
const MAX_WAITING_LOOKUPS: usize = 1024;
/// The most look-ups in one query.
const MAX_BATCH_LOOKUPS: usize = 500;

struct Lookup {
    id: OrderId,
    answer: Reply<Option<NewOrder>>,
}

/// Looks up what is stored under the ids of orders. Cheap to clone.
#[derive(Clone)]
pub struct StoredOrders {
    lookups: mpsc::Sender<Lookup>,
}

impl StoredOrders {
    /// Look-ups in this database, and the task that must run for them. It ends when all clones are gone.
    pub fn new(store: Store) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (lookups, waiting) = mpsc::channel(MAX_WAITING_LOOKUPS);
        (Self { lookups }, answer(store, waiting))
    }

    /// The order that is stored under an id. None where nothing is, and where the database doesn't say so in time.
    pub async fn find(&self, id: OrderId) -> Option<NewOrder> {
        let (answer, found) = replies::channel();
        let found = match self.lookups.try_send(Lookup { id, answer }) {
            Ok(()) => timeout(LOOKUP_TIMEOUT, found).await.ok().and_then(Result::ok),
            Err(_) => None,
        };
        let counted = match &found {
            Some(Some(_)) => LookedUp::Stored,
            Some(None) => LookedUp::NotStored,
            None => LookedUp::Unanswered,
        };
        metrics::intake().lookups.of(counted).inc();
        found.flatten()
    }
}

/// Answers look-ups, with one query at a time.
async fn answer(store: Store, mut waiting: mpsc::Receiver<Lookup>) {
    let mut lookups = Vec::with_capacity(MAX_BATCH_LOOKUPS);
    while waiting.recv_many(&mut lookups, MAX_BATCH_LOOKUPS).await > 0 {
        // While a query takes long, most of those who wait give up.
        lookups.retain(|lookup: &Lookup| !lookup.answer.is_unwanted());
        if lookups.is_empty() {
            continue;
        }
        let ids: Vec<_> = lookups.iter().map(|lookup| lookup.id).collect();
        match store.read(move |conn| async move { orders::find_all(conn, &ids).await }.boxed()).await {
            Ok(found) => {
                let found: HashMap<_, _> =
                    found.into_iter().map(|order| (order.placed.id, order.placed)).collect();
                // Of one id several may be asked for.
                let found = |id| found.get(&id).cloned();
                replies::give_all(lookups.drain(..).map(|Lookup { id, answer }| (answer, found(id))));
            }
            Err(error) => {
                tracing::debug!(%error, "failed to look up keys");
                lookups.clear();
            }
        }
    }
}
