//! Orders under an `Idempotency-Key`: of all requests that one sender sends under one key for one customer, one order comes.

use super::{AcceptedOrder, IdempotencyKey, Intake, OrderIds, PlaceOrderError, Placement, Request};
use crate::{
    domain::{
        ids::{OrderId, UserId},
        now,
        order::NewOrder,
    },
    store::orders,
};
use std::sync::Arc;

/// An order that was placed.
#[derive(Debug, Clone)]
pub struct PlacedOrder {
    /// The way it was taken.
    pub taken: Placement,
    /// The order.
    pub order: Arc<NewOrder>,
    /// Tells whether an earlier request under its key placed it.
    pub is_replayed: bool,
}

/// A request under a key.
pub(super) struct KeyedRequest {
    /// The id of its order.
    pub(super) id: OrderId,
    /// The id that its order had before keys counted for their sender, if that was another.
    former_id: Option<OrderId>,
    request: Request,
}

impl KeyedRequest {
    pub(super) fn new(
        identity: &OrderIds,
        sender: UserId,
        customer: UserId,
        key: &IdempotencyKey,
        request: Request,
    ) -> Self {
        let id = identity.derived(sender, customer, key.as_str());
        let former_id = (sender != customer).then(|| identity.derived(customer, customer, key.as_str()));
        Self { id, former_id, request }
    }
}

impl Intake {
    /// Keeps an order safe, or finds that it is. `is_repeat`: it is known to be an earlier request's.
    pub(super) async fn keep_once(
        &self,
        order: Arc<NewOrder>,
        keyed: &KeyedRequest,
        is_repeat: bool,
    ) -> Result<PlacedOrder, PlaceOrderError> {
        // Of several at once under one key the first to come here decides what is ordered.
        let mut is_first = false;
        let first = self.accepted.get_or_insert_with(&order.id, || {
            is_first = true;
            Ok::<_, PlaceOrderError>(Arc::new(AcceptedOrder::new(Arc::clone(&order))))
        })?;
        if !is_first && !keyed.request.repeats(Some(&order), &first.order) {
            // The first one may be about to find another one stored, which this one repeats.
            return if first.is_kept() {
                Err(PlaceOrderError::Conflict)
            } else {
                self.replay(&order, keyed).await
            };
        }
        // Each of them is given on, in case the first one does not get through: under one id they are one order.
        let given_on = Arc::clone(&first.order);
        let taken = if first.is_kept() {
            self.sink.take(given_on).await.map(Some)
        } else {
            // Another process may have taken one under this key, or this one before it was started.
            self.sink.take_unless_stored(given_on).await
        };
        match taken {
            Ok(None) => {
                if is_first {
                    self.accepted.remove(&order.id);
                }
                self.replay(&order, keyed).await
            }
            Ok(Some(taken)) => {
                match taken {
                    Placement::Queued => first.set_published(now()),
                    Placement::Stored(_) => first.set_stored(),
                }
                let is_replayed = match taken {
                    // It was there.
                    Placement::Stored(None) => true,
                    Placement::Queued | Placement::Stored(Some(_)) => is_repeat || !first.is_first_answer(),
                };
                Ok(PlacedOrder { taken, order: Arc::clone(&first.order), is_replayed })
            }
            Err(error) => {
                // What may have been kept is remembered, so that nothing else is taken under its key.
                if is_first && !matches!(error, PlaceOrderError::Undecided) {
                    self.accepted.remove(&order.id);
                }
                Err(error)
            }
        }
    }

    /// Answers with what is stored under its key, if this is a repeat of it.
    async fn replay(&self, order: &NewOrder, keyed: &KeyedRequest) -> Result<PlacedOrder, PlaceOrderError> {
        match self.stored(keyed.id).await? {
            Some(stored) if keyed.request.repeats(Some(order), &stored) => {
                Ok(PlacedOrder { taken: Placement::Stored(None), order: stored, is_replayed: true })
            }
            _ => Err(PlaceOrderError::Conflict),
        }
    }

    /// The order that was placed under this key before, if this is a repeat of it. `order` is what it would be now, if it can be one.
    pub(super) async fn earlier(
        &self,
        keyed: &KeyedRequest,
        order: Option<&NewOrder>,
    ) -> Result<Option<Arc<NewOrder>>, PlaceOrderError> {
        let earlier = match self.accepted.get(&keyed.id) {
            Some(accepted) => Some(Arc::clone(&accepted.order)),
            None => self.stored(keyed.id).await?,
        };
        match earlier {
            Some(earlier) if !keyed.request.repeats(order, &earlier) => Err(PlaceOrderError::Conflict),
            earlier => Ok(earlier),
        }
    }

    /// The same where keys did not count for their sender yet: an order of an earlier release, which staff placed for a guest.
    pub(super) async fn before_keys_of_senders(
        &self,
        keyed: &KeyedRequest,
        sender: UserId,
        order: Option<&NewOrder>,
    ) -> Result<Option<Arc<NewOrder>>, PlaceOrderError> {
        let Some(id) = keyed.former_id else { return Ok(None) };
        match self.stored(id).await? {
            // Under that id may also be what the guest ordered, or other staff: those are other keys now.
            Some(earlier) if earlier.placed_by == sender => {
                if keyed.request.repeats(order, &earlier) {
                    Ok(Some(earlier))
                } else {
                    Err(PlaceOrderError::Conflict)
                }
            }
            _ => Ok(None),
        }
    }

    async fn stored(&self, id: OrderId) -> Result<Option<Arc<NewOrder>>, PlaceOrderError> {
        let found = self.store.read(async move |conn| orders::find(conn, id).await).await?;
        Ok(found.map(|order| Arc::new(order.placed)))
    }
}
