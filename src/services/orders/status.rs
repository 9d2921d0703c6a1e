//! The status of an order, put together from the database, the orders accepted by this process, and the dead letters.

use super::{
    board::{Board, WaitOutcome},
    intake::{Intake, UnstoredOrder},
};
use crate::{
    domain::{ids::OrderId, order::Order},
    services::{DatabaseError, accounts::Caller},
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub enum OrderStatus {
    Stored(Box<Order>),
    /// Accepted, and on its way to the database.
    Queued(UnstoredOrder),
    DeadLetter,
}

/// Errors of finding an order.
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

/// Finds an order that the caller may see.
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
    let queued = intake.queued(id, customer).ok_or(StatusError::Unknown)?;
    if board.is_lost(id).await? {
        return Ok(OrderStatus::DeadLetter);
    }
    if !matches!(queued, UnstoredOrder::Gone) {
        return Ok(OrderStatus::Queued(queued));
    }
    // Once more: it may have been stored between the two queries.
    let order = board.find(caller, id).await?.ok_or(StatusError::NoLongerStored)?;
    Ok(OrderStatus::Stored(Box::new(order)))
}

/// Waits until an order is stored. Ends early when the process stops: accepted is accepted, and the client learns that in time.
pub async fn wait_until_stored(
    board: &Board,
    intake: &Intake,
    stopping: &CancellationToken,
    (caller, id): (Caller, OrderId),
    wait: Duration,
) -> WaitOutcome {
    let waited = stopping.run_until_cancelled(board.until_stored(caller, id, wait)).await;
    if let Some(WaitOutcome::Stored(_)) = waited {
        intake.note_stored(id);
    }
    waited.unwrap_or(WaitOutcome::TimedOut)
}
