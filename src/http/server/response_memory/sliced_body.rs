//! A body that is handed to the connection piece by piece.

use super::{MemoryReservation, SLICE_BYTES};
use crate::http::server::connection_timeouts::{Busy, Progress};
use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};
use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// A body whose bytes the connection gets no faster than it can send them: the framework copies into its buffer whatever it is
/// given at a time, however much that is.
pub struct Sliced {
    body: BoxBody,
    /// What is left of the body's latest part.
    part: Bytes,
    connection: Rc<Progress>,
    /// Until the whole of it was handed to the connection.
    _busy: Busy,
    reservation: Option<MemoryReservation>,
}

impl Sliced {
    /// `reservation` is given back once all of it is written.
    pub fn new(body: BoxBody, connection: Rc<Progress>, reservation: MemoryReservation) -> Self {
        connection.more.set(true);
        let busy = connection.begin();
        Self { body, part: Bytes::new(), connection, _busy: busy, reservation: Some(reservation) }
    }
}

impl MessageBody for Sliced {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = &mut *self;
        if this.part.is_empty() {
            // What there is not yet nobody has to take.
            this.connection.more.set(false);
            match ready!(Pin::new(&mut this.body).poll_next(cx)) {
                Some(Ok(part)) => this.part = part,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let slice = this.part.split_to(this.part.len().min(SLICE_BYTES));
        this.connection.more.set(!this.part.is_empty());
        Poll::Ready(Some(Ok(slice)))
    }
}

impl Drop for Sliced {
    fn drop(&mut self) {
        self.connection.more.set(false);
        if let Some(mut reservation) = self.reservation.take() {
            reservation.shrink(2 * SLICE_BYTES);
            self.connection.hold_until_written(reservation);
        }
    }
}
