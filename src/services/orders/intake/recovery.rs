//! Recovers accepted orders that the broker lost after confirming them: looks up orders that can no longer be
//! on their way, and publishes the missing ones again. They keep their ids, so that publishing one too often
//! is harmless.

use super::{AcceptedOrder, Intake, unstored_sample};
use crate::{
    broker::Broker,
    domain::{ids::OrderId, now},
    services::orders::recorder::takes_orders,
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::{Instant as Tick, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Looks at the queues per `quiet`, the time for which they must be empty.
const LOOKS: u32 = 8;
const MAX_LOOK_INTERVAL: Duration = Duration::from_secs(10);
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Orders per query, and maximum of orders looked up after one look at the queues.
const LOOKUP_SIZE: usize = 200;
const MAX_LOOKUPS: usize = 2000;
/// Attempts to publish an order again. After that something loses it every time, and the database can answer
/// for the others.
const MAX_ATTEMPTS: u8 = 5;

pub struct Recovery {
    pub broker: Broker,
    /// Delays before a retry, each of which has a queue.
    pub retries: Vec<Duration>,
    /// Time for which all queues must be seen empty.
    pub quiet: Duration,
}

impl Recovery {
    /// Looks at the queues until `stop`, and recovers lost orders.
    pub async fn run(mut self, intake: Weak<Intake>, stop: CancellationToken) {
        self.retries.sort_unstable();
        self.retries.dedup();
        let interval = (self.quiet / LOOKS).min(MAX_LOOK_INTERVAL);
        while stop.run_until_cancelled(sleep(interval)).await.is_some() {
            let Some(intake) = intake.upgrade() else { return };
            // Before the look, which may miss orders accepted during it.
            let (tick, at) = (Tick::now(), now());
            let look = stop.run_until_cancelled(timeout(LOOK_TIMEOUT, self.is_drained(&intake)));
            let Some(is_drained) = look.await else { return };
            intake.settlement.observe(is_drained.unwrap_or(false), self.quiet, tick, at);
            stop.run_until_cancelled(intake.recover()).await;
        }
    }

    /// Returns whether the queues are empty and what workers hold is recorded.
    async fn is_drained(&self, intake: &Intake) -> bool {
        let is_drained = self.broker.is_drained(&self.retries).await.inspect_err(|error| {
            tracing::debug!(%error, "failed to read the lengths of the queues");
        });
        is_drained.unwrap_or(false) && takes_orders(&intake.store).await.is_ok()
    }
}

impl Intake {
    /// Marks accepted orders as stored soon after they are: orders deleted later were not lost. Publishes
    /// again the orders that are neither stored nor on their way.
    async fn recover(&self) {
        let open = self.accepted.iter().filter_map(|(id, accepted)| {
            let published_at = accepted.published_at()?;
            Some((id, accepted, self.settlement.is_settled(published_at)))
        });
        let open: Vec<_> = open.take(MAX_LOOKUPS).collect();
        for part in open.chunks(LOOKUP_SIZE) {
            let ids = part.iter().map(|(id, ..)| *id).collect();
            let Ok(stored) = unstored_sample::settled(&self.store, ids).await else { return };
            for (id, accepted, is_settled) in part {
                if stored.contains(id) {
                    accepted.set_stored();
                } else if *is_settled {
                    self.publish_again(*id, accepted).await;
                }
            }
        }
    }

    async fn publish_again(&self, id: OrderId, accepted: &Arc<AcceptedOrder>) {
        let attempt = accepted.next_attempt();
        if attempt > MAX_ATTEMPTS {
            tracing::error!(order = %id, "the broker lost an accepted order after each attempt to publish it");
            accepted.set_stored();
            return;
        }
        match self.sink.take(Arc::clone(&accepted.order)).await {
            Ok(placement) => accepted.set_placed(placement),
            Err(error) => {
                tracing::warn!(order = %id, %error, "failed to recover an order that the broker lost; retrying");
                return;
            }
        }
        tracing::warn!(order = %id, attempt, "the broker lost an accepted order; publishing it again");
    }
}
