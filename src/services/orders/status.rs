//! The status of an order, put together from the database, the orders accepted by this process, and the dead letters.

use super::{
    board::{Board, may_see},
    intake::Intake,
};
use crate::{
    domain::{
        ids::OrderId,
        order::{NewOrder, Order},
    },
    services::{DatabaseError, accounts::Caller},
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub enum OrderStatus {
    Stored(Box<Order>),
    /// Accepted, and on its way to the database; `None` if another process accepted it.
    Queued(Option<Arc<NewOrder>>),
    DeadLetter,
}

#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// It does not exist, or the caller may not see it.
    #[error("no such order")]
    Unknown,
    /// It was accepted, and is neither stored nor on its way.
    #[error("the order is no longer stored")]
    NoLongerStored,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

pub async fn status(
    board: &Board,
    intake: &Intake,
    caller: Caller,
    id: OrderId,
) -> Result<OrderStatus, StatusError> {
    if let Some(order) = board.find(caller, id).await? {
        intake.note_stored(id);
        return Ok(OrderStatus::Stored(Box::new(order)));
    }
    let customer = (!caller.role.is_staff()).then_some(caller.id);
    let unstored = intake.unstored(id, customer).ok_or(StatusError::Unknown)?;
    if board.is_dead_letter(id).await? {
        return Ok(OrderStatus::DeadLetter);
    }
    if !unstored.is_gone {
        return Ok(OrderStatus::Queued(unstored.order));
    }
    // Once more: it may have been stored between the two queries.
    let order = board.find(caller, id).await?.ok_or(StatusError::NoLongerStored)?;
    Ok(OrderStatus::Stored(Box::new(order)))
}

#[derive(Debug)]
pub enum WaitOutcome {
    Stored(Box<Order>),
    TimedOut,
    /// Too many clients are waiting.
    Declined,
}

/// Waits until an order is stored that the caller may see, or until the process stops, so that the client learns in time that it is
/// accepted.
pub async fn wait_until_stored(
    board: &Board,
    intake: &Intake,
    stopping: &CancellationToken,
    (caller, id): (Caller, OrderId),
    wait: Duration,
) -> WaitOutcome {
    let Some(stored) = board.waiters.register(id) else { return WaitOutcome::Declined };
    match stopping.run_until_cancelled(timeout(wait, stored)).await {
        Some(Ok(Ok(order))) if may_see(caller, &order) => {
            intake.note_stored(id);
            WaitOutcome::Stored(Box::new(order))
        }
        _ => WaitOutcome::TimedOut,
    }
}
