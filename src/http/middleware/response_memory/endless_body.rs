//! A body without an end: it holds memory only while bytes of it wait for the client.

use crate::{
    http::server::{
        connection_progress::{BusyConnection, ConnectionProgress},
        response_budget::{MemoryReservation, ResponseMemoryBudget},
    },
    telemetry::metrics,
};
use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};
use std::{
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Passes a body's parts on, each of which must be smaller than what is reserved for a response at first. Ends if no memory is left
/// for one.
pub struct EndlessBody {
    body: BoxBody,
    connection: Rc<ConnectionProgress>,
    _busy: BusyConnection,
    budget: Arc<ResponseMemoryBudget>,
}

impl EndlessBody {
    /// Gives `reservation` back once the body's beginning is written.
    pub fn new(
        body: BoxBody,
        connection: Rc<ConnectionProgress>,
        budget: Arc<ResponseMemoryBudget>,
        reservation: MemoryReservation,
    ) -> Self {
        connection.hold_until_written(reservation);
        let busy = connection.begin();
        Self { body, connection, _busy: busy, budget }
    }
}

impl MessageBody for EndlessBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let part = ready!(Pin::new(&mut self.body).poll_next(cx));
        if part.is_some() && !self.connection.is_holding() {
            let Some(reservation) = self.budget.reserve(self.connection.address_bytes.clone()) else {
                metrics::http().answers_refused.inc();
                return Poll::Ready(None);
            };
            self.connection.hold_until_written(reservation);
        }
        Poll::Ready(part)
    }
}
