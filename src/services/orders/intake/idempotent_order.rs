//! Orders under an `Idempotency-Key`: one for each sender, customer and key.

use super::{AcceptedOrder, IdempotencyKey, Intake, OrderIds, PlaceOrderError, Placement, Request};
use crate::{
    domain::{
        ids::{OrderId, UserId},
        order::NewOrder,
    },
    store::orders,
};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct PlacedOrder {
    pub placement: Placement,
    pub order: Arc<NewOrder>,
    /// Set if an earlier request under the key placed it.
    pub is_replayed: bool,
}

/// A request with an `Idempotency-Key`.
pub(super) struct KeyedRequest {
    pub(super) id: OrderId,
    /// Id that the order would have in releases where keys did not depend on the sender, if it differs.
    former_id: Option<OrderId>,
    request: Request,
}

impl KeyedRequest {
    pub(super) fn new(
        order_ids: &OrderIds,
        sender: UserId,
        customer: UserId,
        key: &IdempotencyKey,
        request: Request,
    ) -> Self {
        let id = order_ids.derived(sender, customer, key.as_str());
        let former_id = (sender != customer).then(|| order_ids.derived(customer, customer, key.as_str()));
        Self { id, former_id, request }
    }

    /// Returns an order placed earlier under the key, unless this request asks for another one.
    fn if_repeated(
        &self,
        order: Option<&NewOrder>,
        earlier: Arc<NewOrder>,
    ) -> Result<Arc<NewOrder>, PlaceOrderError> {
        if self.request.repeats(order, &earlier) { Ok(earlier) } else { Err(PlaceOrderError::Conflict) }
    }
}

impl Intake {
    /// Places an order once. `is_repeat`: it is known to repeat an earlier request.
    pub(super) async fn place_once(
        &self,
        order: Arc<NewOrder>,
        keyed: &KeyedRequest,
        is_repeat: bool,
    ) -> Result<PlacedOrder, PlaceOrderError> {
        // Of concurrent requests under one key, the first to get here decides the content.
        let mut is_first = false;
        let first = self.accepted.get_or_insert_with(&order.id, || {
            is_first = true;
            Ok::<_, PlaceOrderError>(Arc::new(AcceptedOrder::new(Arc::clone(&order))))
        })?;
        if !is_first && !keyed.request.repeats(Some(&order), &first.order) {
            // The first may be about to find another stored order, which this one repeats.
            return if first.is_confirmed() {
                Err(PlaceOrderError::Conflict)
            } else {
                self.replay(&order, keyed).await
            };
        }
        // Every request passes the order on, in case the first one fails: under one id they are one order.
        let accepted = Arc::clone(&first.order);
        let placement = if first.is_confirmed() {
            self.sink.take(accepted).await.map(Some)
        } else {
            // Another process may have accepted an order under this key, or this one before a restart.
            self.sink.take_unless_stored(accepted).await
        };
        match placement {
            Ok(None) => {
                if is_first {
                    self.accepted.remove(&order.id);
                }
                self.replay(&order, keyed).await
            }
            Ok(Some(placement)) => {
                first.set_placed(placement);
                let was_stored = placement == Placement::Stored(None);
                let is_replayed = was_stored || is_repeat || !first.is_first_answer();
                Ok(PlacedOrder { placement, order: Arc::clone(&first.order), is_replayed })
            }
            Err(error) => {
                // Remembered if it may have been accepted, so that no other is accepted under its key.
                if is_first && !matches!(error, PlaceOrderError::OutcomeUnknown) {
                    self.accepted.remove(&order.id);
                }
                Err(error)
            }
        }
    }

    /// Returns the order stored under the key, if this request repeats it.
    async fn replay(&self, order: &NewOrder, keyed: &KeyedRequest) -> Result<PlacedOrder, PlaceOrderError> {
        let stored = self.stored(keyed.id).await?.ok_or(PlaceOrderError::Conflict)?;
        let order = keyed.if_repeated(Some(order), stored)?;
        Ok(PlacedOrder { placement: Placement::Stored(None), order, is_replayed: true })
    }

    /// Finds the earlier order under the key. `order` is what this request asks for, if it is still possible.
    pub(super) async fn earlier(
        &self,
        keyed: &KeyedRequest,
        order: Option<&NewOrder>,
    ) -> Result<Option<Arc<NewOrder>>, PlaceOrderError> {
        let earlier = match self.accepted.get(&keyed.id) {
            Some(accepted) => Some(Arc::clone(&accepted.order)),
            None => self.stored(keyed.id).await?,
        };
        earlier.map(|earlier| keyed.if_repeated(order, earlier)).transpose()
    }

    /// Finds such an order of an earlier release, in which keys did not depend on the sender and staff placed
    /// it for a guest.
    pub(super) async fn before_keys_of_senders(
        &self,
        keyed: &KeyedRequest,
        sender: UserId,
        order: Option<&NewOrder>,
    ) -> Result<Option<Arc<NewOrder>>, PlaceOrderError> {
        let Some(id) = keyed.former_id else { return Ok(None) };
        // The same id may belong to an order of the guest or of other staff, whose keys are distinct now.
        let earlier = self.stored(id).await?.filter(|earlier| earlier.placed_by == sender);
        earlier.map(|earlier| keyed.if_repeated(order, earlier)).transpose()
    }

    async fn stored(&self, id: OrderId) -> Result<Option<Arc<NewOrder>>, PlaceOrderError> {
        let found = self.store.read(async move |conn| orders::find(conn, id).await).await?;
        Ok(found.map(|order| Arc::new(order.placed)))
    }
}
