//! Intake of orders: from the request to an order that is safe at the broker or in the database.

mod accepted_order;
mod error;
mod idempotent_order;
mod open_orders;
mod order_ids;
mod recovery;
mod request;
mod settlement;
mod sink;
mod unstored_sample;

pub use crate::services::orders::recorder::Refusal;
pub use error::PlaceOrderError;
pub use idempotent_order::PlacedOrder;
pub use open_orders::{OpenOrders, OpenOrdersError};
pub use order_ids::OrderIds;
pub use recovery::Recovery;
pub use request::{IdempotencyKey, Item, Request};
pub use settlement::Settlement;
pub use sink::{BrokerSink, OrderSink, Placement, StoredOrders};

use crate::{
    config::OrderLimits,
    domain::{
        FieldError, Timestamp,
        ids::{OrderId, UserId},
        now,
        order::{Drink, MAX_LINES, NewOrder, OrderLine},
        priority,
        text::Note,
        validation::FieldPath,
    },
    services::{
        accounts::Caller,
        menu::{Menu, Snapshot},
    },
    store::{Store, users},
    telemetry::metrics::{self, MetricLabel},
};
use accepted_order::AcceptedOrder;
use idempotent_order::KeyedRequest;
use quick_cache::{Weighter, sync::Cache};
use std::{net::IpAddr, sync::Arc};
use unstored_sample::UnstoredSample;

/// Accepted orders remembered until they can be read from the database.
const ACCEPTED_CAPACITY: usize = 10_000;
const ACCEPTED_CAPACITY_BYTES: u64 = 16 * 1024 * 1024;
/// Minimum weight of an order, which bounds their number.
const MIN_ORDER_BYTES: u64 = ACCEPTED_CAPACITY_BYTES / ACCEPTED_CAPACITY as u64;

/// Lines of an order for whose unknown recipes names are suggested; each is compared with much of the menu.
const MAX_SUGGESTED_LINES: usize = 3;

pub struct Intake {
    menu: Menu,
    sink: OrderSink,
    store: Store,
    order_ids: OrderIds,
    accepted: Cache<OrderId, Arc<AcceptedOrder>, Bytes>,
    settlement: Settlement,
    waiting: UnstoredSample,
    pub open: Arc<OpenOrders>,
}

/// Estimates the memory of an order.
#[derive(Clone)]
struct Bytes;

impl Weighter<OrderId, Arc<AcceptedOrder>> for Bytes {
    fn weight(&self, _: &OrderId, accepted: &Arc<AcceptedOrder>) -> u64 {
        let order = &accepted.order;
        let note = |note: &Option<Note>| note.as_ref().map_or(0, |note| note.as_str().len());
        let line =
            |line: &OrderLine| size_of::<OrderLine>() + line.recipe.name.as_str().len() + note(&line.note);
        let lines: usize = order.lines.iter().map(line).sum();
        MIN_ORDER_BYTES.max((size_of::<NewOrder>() + lines + note(&order.note)) as u64)
    }
}

/// An order that is not stored, as far as this process knows.
#[derive(Debug, Clone)]
pub struct UnstoredOrder {
    /// `None` if another process of this installation accepted it.
    pub order: Option<Arc<NewOrder>>,
    /// Accepted and no longer on its way: recorded and deleted since, or lost.
    pub is_gone: bool,
}

impl Intake {
    pub fn new(
        menu: Menu,
        sink: OrderSink,
        store: Store,
        order_ids: OrderIds,
        settings: &OrderLimits,
        settlement: Settlement,
    ) -> Self {
        let accepted = Cache::with_weighter(ACCEPTED_CAPACITY, ACCEPTED_CAPACITY_BYTES, Bytes);
        let open = Arc::new(OpenOrders::new(settings));
        let waiting = UnstoredSample::default();
        Self { menu, sink, store, order_ids, accepted, settlement, waiting, open }
    }

    /// Places an order from this address. On success it is safe at the broker or in the database.
    pub async fn place(
        &self,
        caller: Caller,
        address: IpAddr,
        request: Request,
        key: Option<&IdempotencyKey>,
    ) -> Result<PlacedOrder, PlaceOrderError> {
        let outcome = self.take(caller, address, request, key).await;
        match &outcome {
            Ok(PlacedOrder { placement, order, .. }) => {
                metrics::intake().accepted.of(placement.label()).inc();
                if *placement == Placement::Queued {
                    self.waiting.accepted(order.id, order.placed_at, now);
                }
            }
            Err(error) => metrics::intake().refused.of(error.label()).inc(),
        }
        outcome
    }

    /// Returns when the oldest order was placed that this process accepted and that is not stored yet.
    pub async fn oldest_waiting(&self) -> Option<Timestamp> {
        self.waiting.oldest(&self.store).await
    }

    async fn take(
        &self,
        caller: Caller,
        address: IpAddr,
        request: Request,
        key: Option<&IdempotencyKey>,
    ) -> Result<PlacedOrder, PlaceOrderError> {
        let customer_id = self.customer(caller, request.customer_id.0).await?;
        let keyed =
            key.map(|key| KeyedRequest::new(&self.order_ids, caller.id, customer_id, key, request.clone()));
        let id = keyed.as_ref().map_or_else(|| self.order_ids.generate(customer_id), |keyed| keyed.id);
        let built = self.order(id, customer_id, caller.id, request);
        if let Some(keyed) = &keyed
            && let Some(order) = self.before_keys_of_senders(keyed, caller.id, built.as_ref().ok()).await?
        {
            return Ok(PlacedOrder { placement: Placement::Stored(None), order, is_replayed: true });
        }
        let (order, is_repeat) = match (built, &keyed) {
            (Ok(order), _) => (Arc::new(order), false),
            // The menu may have changed: a repeated request gets its earlier answer.
            (Err(refusal), Some(keyed)) => (self.earlier(keyed, None).await?.ok_or(refusal)?, true),
            (Err(refusal), None) => return Err(refusal),
        };
        let is_staff = caller.role.is_staff();
        let admitted = if is_staff { Ok(None) } else { self.open.admit(&order, address) };
        let (order, reservation, is_repeat) = match (admitted, &keyed) {
            (Ok(reservation), _) => (order, reservation, is_repeat),
            // A repeated request adds no order.
            (Err(too_many), Some(keyed)) => match self.earlier(keyed, Some(&order)).await {
                Ok(earlier) => (earlier.ok_or(too_many)?, None, true),
                // Whether it is a repeat can't be determined now.
                Err(PlaceOrderError::Store(error)) if error.is_transient() => (order, None, is_repeat),
                Err(refusal) => return Err(refusal),
            },
            (Err(too_many), None) => return Err(too_many.into()),
        };
        let outcome = match &keyed {
            None => self.place_new(order).await,
            Some(keyed) => self.place_once(order, keyed, is_repeat).await,
        };
        match (&outcome, reservation) {
            (_, None) => {}
            (Ok(_), Some(reservation)) => reservation.accepted(),
            // It may have been accepted, so it counts for a while.
            (Err(PlaceOrderError::OutcomeUnknown), Some(reservation)) => drop(reservation),
            (Err(_), Some(reservation)) => reservation.released(),
        }
        outcome
    }

    /// Places an order that no other request stands for.
    async fn place_new(&self, order: Arc<NewOrder>) -> Result<PlacedOrder, PlaceOrderError> {
        let placement = self.sink.take(Arc::clone(&order)).await?;
        if placement == Placement::Queued {
            let accepted = AcceptedOrder::new(Arc::clone(&order));
            accepted.set_placed(placement);
            self.accepted.insert(order.id, Arc::new(accepted));
        }
        Ok(PlacedOrder { placement, order, is_replayed: false })
    }

    /// Records that an accepted order was seen in the database, so it was not lost.
    pub fn note_stored(&self, id: OrderId) {
        if let Some(accepted) = self.accepted.get(&id) {
            accepted.set_stored();
        }
    }

    /// Returns an order that is not stored, or `None` if it is unknown or not this customer's.
    pub fn unstored(&self, id: OrderId, customer: Option<UserId>) -> Option<UnstoredOrder> {
        match self.accepted.get(&id) {
            Some(accepted) if customer.is_none_or(|customer| accepted.order.customer_id == customer) => {
                // Orders that the broker lost are on their way until publishing them again is given up.
                Some(UnstoredOrder {
                    order: Some(Arc::clone(&accepted.order)),
                    is_gone: accepted.is_stored(),
                })
            }
            None if self.order_ids.issued(id, customer) => {
                let is_gone = self.settlement.is_settled_elsewhere(id, now());
                Some(UnstoredOrder { order: None, is_gone })
            }
            Some(_) | None => None,
        }
    }

    async fn customer(&self, caller: Caller, named: Option<UserId>) -> Result<UserId, PlaceOrderError> {
        match named {
            None => Ok(caller.id),
            Some(id) if id == caller.id => Ok(id),
            Some(_) if !caller.role.is_staff() => Err(PlaceOrderError::NotForOthers),
            // Not on the hot path: staff seldom place orders for guests.
            Some(id) => match self.store.read(async move |conn| users::by_id(conn, id).await).await? {
                Some((customer, _)) if customer.active => Ok(id),
                Some(_) => Err(FieldError::new("customer_id", "is switched off").into()),
                None => Err(FieldError::new("customer_id", "there is no such customer").into()),
            },
        }
    }

    fn order(
        &self,
        id: OrderId,
        customer_id: UserId,
        placed_by: UserId,
        request: Request,
    ) -> Result<NewOrder, PlaceOrderError> {
        let menu = self.menu.current();
        let (table, note) = (request.table().cloned(), request.note().cloned());
        let is_list = request.items.0.is_some();
        let items = request.into_items()?;
        if !(1..=MAX_LINES).contains(&items.len()) {
            return Err(FieldError::new("items", format!("must have 1 to {MAX_LINES} lines")).into());
        }
        let mut slowest_seconds = 0;
        let mut lines = Vec::with_capacity(items.len());
        let mut wrong = Vec::new();
        for (field, item) in items {
            match line(&menu, field, item, wrong.len() < MAX_SUGGESTED_LINES) {
                Ok((line, seconds)) => {
                    slowest_seconds = slowest_seconds.max(seconds);
                    lines.push(line);
                }
                Err(PlaceOrderError::Invalid(fields)) => wrong.extend(fields),
                Err(refusal) => return Err(refusal),
            }
        }
        if !wrong.is_empty() {
            return Err(PlaceOrderError::Invalid(wrong));
        }
        let drinks: u32 = lines.iter().map(|line| u32::from(line.quantity.get())).sum();
        let max = self.open.limits.map(|limits| limits.drinks_per_order);
        if let Some(max) = max.filter(|max| drinks > *max) {
            let problem = format!("has {drinks} drinks, and an order may have {max}");
            return Err(FieldError::new(if is_list { "items" } else { "quantity" }, problem).into());
        }
        let placed_at = now();
        Ok(NewOrder {
            id,
            customer_id,
            placed_by,
            lines,
            table,
            note,
            priority: priority::priority(slowest_seconds),
            due_at: priority::due(placed_at, slowest_seconds),
            placed_at,
        })
    }
}

impl From<FieldError> for PlaceOrderError {
    fn from(invalid: FieldError) -> Self {
        Self::Invalid(vec![invalid])
    }
}

fn line(
    menu: &Snapshot,
    field: FieldPath,
    item: Item,
    suggests: bool,
) -> Result<(OrderLine, u16), PlaceOrderError> {
    let Some(recipe) = menu.find(&item.recipe) else {
        let suggestions = if suggests { menu.suggestions(&item.recipe) } else { Vec::new() };
        return Err(FieldError::not_on_menu(field, &item.recipe, suggestions).into());
    };
    if !recipe.available {
        return Err(PlaceOrderError::SoldOut(recipe.spec.name.clone()));
    }
    let drink = Drink { id: recipe.id, name: recipe.spec.name.clone() };
    let line = OrderLine { recipe: drink, quantity: item.quantity(), note: item.note.0 };
    Ok((line, recipe.spec.seconds()))
}
