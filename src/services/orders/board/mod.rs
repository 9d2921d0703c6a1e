//! The board: reading, claiming and changing orders.

mod history;
mod waiters;

pub use crate::domain::filters::{OrderFilter, OrderPage, OrderPageKey};
pub use waiters::Waiters;

use crate::{
    domain::{
        ids::{OrderId, UserId},
        now,
        order::{HistoryEntry, Order},
        order_state::{OrderAction, OrderActor, Status},
        text::Note,
        version::Precondition,
    },
    services::{
        DatabaseError,
        accounts::Caller,
        idempotency::{IdempotencyOutcome, IdempotentRequest, once},
    },
    store::{
        self, Conn, Store, dead_letters,
        open_orders::cancellations::Cancellation,
        orders::{self, pages, transitions},
        transaction_error, users,
    },
    telemetry::metrics::{self, MetricLabel},
};
use chrono::TimeDelta;

#[derive(Debug, thiserror::Error)]
pub enum TransitionError {
    /// Not found, or not visible to the caller.
    #[error("no such order")]
    Unknown,
    #[error("no such customer")]
    UnknownCustomer,
    /// The action is not possible in the order's status.
    #[error("the order is {}", .0.status)]
    Conflict(Box<Order>),
    /// The precondition does not hold; contains the current order.
    #[error("the order has changed")]
    Outdated(Box<Order>),
    #[error(transparent)]
    Store(#[from] store::Error),
}

transaction_error!(TransitionError);

pub struct Board {
    store: Store,
    pub(super) waiters: Waiters,
}

impl Board {
    pub fn new(store: Store) -> Self {
        Self { waiters: Waiters::new(store.clone()), store }
    }

    /// Finds a stored order that the caller may see.
    pub async fn find(&self, caller: Caller, id: OrderId) -> Result<Option<Order>, DatabaseError> {
        Ok(self.store.read(async move |conn| visible(conn, caller, id).await).await?)
    }

    pub async fn is_dead_letter(&self, id: OrderId) -> Result<bool, DatabaseError> {
        Ok(self.store.read(async move |conn| dead_letters::has(conn, id).await).await?)
    }

    /// Loads a page of orders after the position `after`: newest first, or the waiting ones in working order.
    pub async fn page(
        &self,
        filter: OrderFilter,
        is_working_order: bool,
        after: Option<OrderPageKey>,
        limit: i64,
    ) -> Result<OrderPage, DatabaseError> {
        let read = self.store.read(async move |conn| {
            if is_working_order {
                pages::waiting(conn, &filter, after, limit).await
            } else {
                pages::newest(conn, &filter, after, limit).await
            }
        });
        Ok(read.await?)
    }

    /// Loads the history of an order that the caller may see.
    pub async fn history(
        &self,
        caller: Caller,
        id: OrderId,
    ) -> Result<Option<Vec<HistoryEntry>>, DatabaseError> {
        let read = self.store.read(async move |conn| match visible(conn, caller, id).await? {
            Some(_) => Ok(Some(history::history(conn, id).await?)),
            None => Ok(None),
        });
        Ok(read.await?)
    }

    /// Claims the next order in working order; concurrent callers get different orders.
    pub async fn next(
        &self,
        bartender: Caller,
        key: Option<IdempotentRequest<Option<Order>>>,
    ) -> Result<IdempotencyOutcome<Option<Order>>, TransitionError> {
        let outcome = self
            .store
            .write(async move |conn| once(conn, key, async move |conn| claim(conn, bartender).await).await)
            .await?;
        if let IdempotencyOutcome::Executed(Some(order)) = &outcome {
            metrics::transitions().orders.of(order.status.label()).inc();
        }
        Ok(outcome)
    }

    /// Cancels all orders of a customer that are pending or in progress, once per key.
    pub async fn cancel_all(
        &self,
        staff: Caller,
        customer_id: UserId,
        reason: Option<Note>,
        key: Option<IdempotentRequest<Vec<OrderId>>>,
    ) -> Result<IdempotencyOutcome<Vec<OrderId>>, TransitionError> {
        let cancellation =
            Cancellation { customer_id, in_progress: true, untouched: None, actor_id: staff.id, reason };
        let outcome = self
            .store
            .transaction(async move |conn| {
                once(conn, key, async move |conn| match users::by_id(conn, customer_id).await? {
                    Some(_) => Ok(cancellation.run(conn).await?),
                    None => Err(TransitionError::UnknownCustomer),
                })
                .await
            })
            .await?;
        if let IdempotencyOutcome::Executed(cancelled) = &outcome {
            let cancelled = u64::try_from(cancelled.len()).unwrap_or_default();
            metrics::transitions().orders.of(Status::Cancelled.label()).inc_by(cancelled);
        }
        Ok(outcome)
    }

    /// Applies an action to an order, once per key.
    pub async fn act(
        &self,
        caller: Caller,
        id: OrderId,
        action: OrderAction,
        reason: Option<Note>,
        condition: Precondition,
        key: Option<IdempotentRequest<Order>>,
    ) -> Result<IdempotencyOutcome<Order>, TransitionError> {
        let outcome = self
            .store
            .transaction(async move |conn| {
                // Checked before the key: a stored response is not for somebody who may no longer see the
                // order, such as a former employee.
                // Staff see all orders, even those that are no longer stored.
                if key.is_some() && !caller.role.is_staff() && visible(conn, caller, id).await?.is_none() {
                    return Err(TransitionError::Unknown);
                }
                once(conn, key, async move |conn| attempt(conn, caller, id, action, reason, condition).await)
                    .await
            })
            .await?;
        if let IdempotencyOutcome::Executed(order) = &outcome {
            metrics::transitions().orders.of(order.status.label()).inc();
        }
        Ok(outcome)
    }
}

async fn claim(conn: &mut Conn, bartender: Caller) -> store::Result<Option<Order>> {
    let Some(order) = orders::first_waiting(conn).await? else { return Ok(None) };
    let transition = transition(&order, Status::InProgress, bartender, None);
    if !transitions::make(conn, &transition).await? {
        return Err(store::Error::unavailable("a locked order changed"));
    }
    Ok(Some(after(order, transition)))
}

/// Finds an order that the caller may see.
async fn visible(conn: &mut Conn, caller: Caller, id: OrderId) -> store::Result<Option<Order>> {
    Ok(orders::find(conn, id).await?.filter(|order| may_see(caller, order)))
}

pub(super) fn may_see(caller: Caller, order: &Order) -> bool {
    caller.role.is_staff() || order.placed.customer_id == caller.id
}

async fn attempt(
    conn: &mut Conn,
    caller: Caller,
    id: OrderId,
    action: OrderAction,
    reason: Option<Note>,
    condition: Precondition,
) -> Result<Order, TransitionError> {
    let Some(order) = visible(conn, caller, id).await? else {
        return Err(TransitionError::Unknown);
    };
    if !condition.allows(order.entity_version()) {
        return Err(TransitionError::Outdated(Box::new(order)));
    }
    let mover = if caller.role.is_staff() { OrderActor::Staff } else { OrderActor::Guest };
    let before = transitions::before_latest(conn, id).await?.unwrap_or(Status::Pending);
    let Some(target) = action.target(order.status, before, mover) else {
        return Err(TransitionError::Conflict(Box::new(order)));
    };
    let transition = transition(&order, target, caller, reason);
    if transitions::make(conn, &transition).await? {
        return Ok(after(order, transition));
    }
    // A concurrent transition was faster: report the current status.
    Err(match orders::find(conn, id).await?.map(Box::new) {
        None => TransitionError::Unknown,
        Some(order) if !condition.allows(order.entity_version()) => TransitionError::Outdated(order),
        Some(order) => TransitionError::Conflict(order),
    })
}

fn transition(order: &Order, to: Status, actor: Caller, reason: Option<Note>) -> transitions::Transition {
    let bartender_id = match to {
        Status::Pending => None,
        Status::InProgress => order.bartender_id.or(Some(actor.id)),
        _ => order.bartender_id,
    };
    transitions::Transition {
        order_id: order.placed.id,
        customer_id: order.placed.customer_id,
        version: order.version,
        from: order.status,
        to,
        bartender_id,
        actor_id: actor.id,
        reason,
        // Later than all of its history, even if a clock was set back: the audit trail is sorted by time.
        at: now().max(order.updated_at + TimeDelta::microseconds(1)),
    }
}

fn after(mut order: Order, transition: transitions::Transition) -> Order {
    order.status = transition.to;
    order.status_reason = transition.reason;
    order.bartender_id = transition.bartender_id;
    order.updated_at = transition.at;
    order.version = transition.version + 1;
    order
}
