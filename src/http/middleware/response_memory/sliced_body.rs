//! A body that the connection gets piece by piece.

use crate::http::server::{
    connection_progress::{BusyConnection, ConnectionProgress},
    response_budget::{MemoryReservation, SLICE_BYTES},
};
use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};
use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// Gives the connection a body's bytes no faster than it can send them: the framework copies into its buffer whatever it gets
/// at a time, however much that is.
pub struct SlicedBody {
    body: BoxBody,
    /// The rest of the body's latest part.
    part: Bytes,
    connection: Rc<ConnectionProgress>,
    /// Until the connection has the whole body.
    _busy: BusyConnection,
    reservation: Option<MemoryReservation>,
}

impl SlicedBody {
    /// Gives `reservation` back once the whole body is written.
    pub fn new(body: BoxBody, connection: Rc<ConnectionProgress>, reservation: MemoryReservation) -> Self {
        connection.has_more.set(true);
        let busy = connection.begin();
        Self { body, part: Bytes::new(), connection, _busy: busy, reservation: Some(reservation) }
    }
}

impl MessageBody for SlicedBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = &mut *self;
        if this.part.is_empty() {
            // The client need not take what is not there yet.
            this.connection.has_more.set(false);
            match ready!(Pin::new(&mut this.body).poll_next(cx)) {
                Some(Ok(part)) => this.part = part,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let slice = this.part.split_to(this.part.len().min(SLICE_BYTES));
        this.connection.has_more.set(!this.part.is_empty());
        Poll::Ready(Some(Ok(slice)))
    }
}

impl Drop for SlicedBody {
    fn drop(&mut self) {
        self.connection.has_more.set(false);
        if let Some(mut reservation) = self.reservation.take() {
            reservation.shrink(2 * SLICE_BYTES);
            self.connection.hold_until_written(reservation);
        }
    }
}
