//! Finds an order that somebody asks for, wherever it is.

use crate::http::{app_state::AppState, problem::Problem};
use crate::{
    domain::{ids::OrderId, order::Order},
    services::{
        accounts::Caller,
        orders::{board::WaitOutcome, intake::UnstoredOrder},
    },
};
use std::time::Duration;

/// The place of an order on its way.
pub enum OrderStatus {
    /// In the database.
    Stored(Box<Order>),
    /// Accepted, on its way there.
    Queued(UnstoredOrder),
    /// A dead letter.
    Lost,
}

/// Finds an order that the caller may see. 404 if there is none.
pub async fn order_status(app: &AppState, caller: Caller, id: OrderId) -> Result<OrderStatus, Problem> {
    if let Some(order) = app.bar.find(caller, id).await? {
        app.intake.note_stored(id);
        return Ok(OrderStatus::Stored(Box::new(order)));
    }
    let customer = (!caller.role.is_staff()).then_some(caller.id);
    let Some(queued) = app.intake.queued(id, customer) else { return Err(Problem::not_found("order")) };
    match queued {
        _ if app.bar.is_lost(id).await? => Ok(OrderStatus::Lost),
        // Once more: it may have been stored between the two looks.
        UnstoredOrder::Gone => match app.bar.find(caller, id).await? {
            Some(order) => Ok(OrderStatus::Stored(Box::new(order))),
            None => Err(Problem::no_longer_stored()),
        },
        queued => Ok(OrderStatus::Queued(queued)),
    }
}

/// The order as soon as it is stored, if that is within `wait`; where too many wait, `wait` is taken away.
pub async fn until_stored(
    app: &AppState,
    caller: Caller,
    id: OrderId,
    wait: &mut Option<Duration>,
) -> Option<Order> {
    let within = (*wait)?;
    let waited = tokio::select! {
        waited = app.bar.until_stored(caller, id, within) => waited,
        // Accepted is accepted: the client learns that before this process ends.
        () = app.health.stopping.cancelled() => WaitOutcome::TimedOut,
    };
    match waited {
        WaitOutcome::Stored(order) => {
            app.intake.note_stored(id);
            Some(*order)
        }
        WaitOutcome::TimedOut => None,
        WaitOutcome::Declined => {
            *wait = None;
            None
        }
    }
}
