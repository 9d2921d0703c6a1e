//! The state that a connection shares with the requests that it carries. Both live on one thread.

use super::{connection_slots::ConnectionSlot, response_budget::MemoryReservation};
use actix_web::http::header::{self, HeaderMap};
use std::{
    cell::Cell,
    rc::Rc,
    sync::{Arc, atomic::AtomicUsize},
    task::{Context, Waker},
    time::Duration,
};
use tokio::time::Instant;

/// The time for the head of a request.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The additional time in which the framework answers a first head that is late, before the connection is cut.
pub const LATE_HEAD_GRACE: Duration = Duration::from_secs(1);
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// The time in which a client must take any of the bytes that are ready to be sent.
pub const UNREAD_TIMEOUT: Duration = Duration::from_secs(20);
/// The average rate at which a client must take bytes that are ready, after the first [`UNREAD_TIMEOUT`].
const MIN_READ_BYTES_PER_SECOND: u64 = 4 * 1024;

/// Bytes that are read of requests that are pipelined behind the one being answered.
const MAX_PIPELINED_BYTES: usize = 4 * 1024;
/// Bytes that are read for one body, with its framing. The framework polls without end once its buffer holds 128 KiB.
const MAX_BODY_READ_BYTES: usize = 112 * 1024;

/// The state of a connection.
pub struct ConnectionProgress {
    pub(super) phase: Cell<Phase>,
    pub encrypted: bool,
    /// Bytes of responses under way to the client's address; `None` where the address has no limit.
    pub address_bytes: Option<Arc<AtomicUsize>>,
    slot: Cell<ConnectionSlot>,
    /// A stream of changes is under way, behind which there is no other response.
    carries_stream: Cell<bool>,
    /// Requests and responses under way: more than one only while a response is handed to the connection.
    busy: Cell<usize>,
    /// Bytes that may be read before the request under way is answered.
    read_ahead: Cell<usize>,
    /// A chunked body was read since the connection was idle: its size is unknown, so that there is one allowance for all.
    chunked: Cell<bool>,
    /// The client takes no bytes at the moment.
    pub(super) blocked: Cell<bool>,
    /// The response under way has more bytes ready than were given to the connection.
    pub has_more: Cell<bool>,
    /// Reservations of responses that were handed to the connection and are not written yet.
    unwritten: Cell<Vec<MemoryReservation>>,
    ending: Cell<Ending>,
    /// The connection's task, where it waits for one of the above.
    waiting: Cell<Option<Waker>>,
}

/// The end of a connection after a response with `Connection: close`. Requests that were there before it are not processed
/// (RFC 9112, 9.6); the framework, which has read them already, takes the response for the last one only where it has none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Open,
    /// The last response is under way.
    Announced,
    /// The last response is complete, and the next flush ends the connection.
    Complete,
    /// All is written. Nothing else will be.
    Written,
}

#[derive(Clone, Copy)]
pub(super) enum Phase {
    /// No byte of a request is there. A request must begin until then.
    Idle(Instant),
    /// A part of a head is there. All of it must be there until then.
    Head(Instant),
    /// A request is being answered, which has timeouts of its own.
    Busy,
}

impl ConnectionProgress {
    /// Creates the state of a new connection, which gives its slot back when it is gone.
    pub(super) fn new(first_head: Instant, encrypted: bool, slot: ConnectionSlot) -> Rc<Self> {
        Rc::new(Self {
            phase: Cell::new(Phase::Head(first_head)),
            encrypted,
            address_bytes: slot.address_bytes(),
            slot: Cell::new(slot),
            carries_stream: Cell::default(),
            busy: Cell::default(),
            read_ahead: Cell::new(MAX_PIPELINED_BYTES),
            chunked: Cell::default(),
            blocked: Cell::default(),
            has_more: Cell::default(),
            unwritten: Cell::default(),
            ending: Cell::new(Ending::Open),
            waiting: Cell::default(),
        })
    }

    /// Begins a request, which is being answered until the returned value is dropped.
    pub fn begin(self: &Rc<Self>) -> BusyConnection {
        self.phase.set(Phase::Busy);
        self.busy.set(self.busy.get() + 1);
        BusyConnection(self.clone())
    }

    /// Makes room for another connection, because this one carries a stream of changes from here on. Returns false, and changes
    /// nothing, if its address has as many streams as it may.
    pub fn become_stream(&self) -> bool {
        let mut slot = self.slot.take();
        let may = slot.become_stream();
        self.slot.set(slot);
        self.carries_stream.set(may);
        may
    }

    pub(super) fn carries_stream(&self) -> bool {
        self.carries_stream.get()
    }

    /// Returns whether the next request was there before the previous one ended; true only once for each request.
    pub fn has_waiting_request(&self) -> bool {
        let waits = matches!(self.phase.get(), Phase::Idle(_));
        if waits {
            // Its turn comes before more is read.
            self.phase.set(Phase::Busy);
        }
        waits
    }

    /// Allows the body that these headers announce to be read.
    pub fn expect_body(&self, headers: &HeaderMap) {
        let length = if headers.contains_key(header::TRANSFER_ENCODING) {
            if self.chunked.replace(true) { 0 } else { MAX_BODY_READ_BYTES }
        } else {
            let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
            length.and_then(|length| length.parse().ok()).unwrap_or(0)
        };
        self.read_ahead.set(self.read_ahead.get().saturating_add(length).min(MAX_BODY_READ_BYTES));
        if length > 0 {
            self.wake();
        }
    }

    /// Holds the reservation until what was handed to the connection is written, or the connection is gone.
    pub fn hold_until_written(&self, reservation: MemoryReservation) {
        let mut unwritten = self.unwritten.take();
        unwritten.push(reservation);
        self.unwritten.set(unwritten);
    }

    /// Returns whether reservations are held until what was handed to the connection is written.
    pub fn is_holding(&self) -> bool {
        let unwritten = self.unwritten.take();
        let is_holding = !unwritten.is_empty();
        self.unwritten.set(unwritten);
        is_holding
    }

    /// Marks the response that now begins as the last one.
    pub fn announce_end(&self) {
        if self.ending.get() == Ending::Open {
            self.ending.set(Ending::Announced);
        }
    }

    /// Returns whether the request that now comes is behind the last response. The framework comes to it when that is complete.
    pub fn is_behind_end(&self) -> bool {
        if self.ending.get() == Ending::Announced {
            self.ending.set(Ending::Complete);
        }
        self.ending.get() != Ending::Open
    }

    /// Returns whether the last response is written, so that nothing else may be.
    pub fn has_written_last(&self) -> bool {
        self.ending.get() == Ending::Written
    }

    /// Returns how many bytes may be read now.
    pub(super) fn readable(&self) -> usize {
        match self.phase.get() {
            _ if self.blocked.get() => 0,
            Phase::Busy => self.read_ahead.get(),
            Phase::Idle(_) | Phase::Head(_) => {
                self.read_ahead.set(MAX_PIPELINED_BYTES);
                self.chunked.set(false);
                usize::MAX
            }
        }
    }

    pub(super) fn note_read(&self, bytes: usize) {
        match self.phase.get() {
            Phase::Idle(_) => self.phase.set(Phase::Head(Instant::now() + HEAD_TIMEOUT + LATE_HEAD_GRACE)),
            Phase::Head(_) => {}
            Phase::Busy => self.read_ahead.set(self.read_ahead.get().saturating_sub(bytes)),
        }
    }

    /// Notes that bytes of a response that goes on were sent.
    pub(super) fn note_write(&self) {
        match self.phase.get() {
            Phase::Idle(_) => self.phase.set(Phase::Idle(Instant::now() + IDLE_TIMEOUT)),
            Phase::Head(until) => {
                self.phase.set(Phase::Head(until.max(Instant::now() + HEAD_TIMEOUT)));
            }
            Phase::Busy => {}
        }
    }

    /// Notes that all that was handed to the connection is written.
    pub(super) fn note_flush(&self) {
        let mut unwritten = self.unwritten.take();
        unwritten.clear();
        self.unwritten.set(unwritten);
        if self.ending.get() == Ending::Complete {
            self.ending.set(Ending::Written);
            self.wake();
        }
        if self.blocked.replace(false) {
            self.wake();
        }
    }

    /// Has the task woken when more may be read or answered.
    pub(super) fn wait(&self, cx: &Context<'_>) {
        self.waiting.set(Some(cx.waker().clone()));
    }

    fn wake(&self) {
        if let Some(task) = self.waiting.take() {
            task.wake();
        }
    }
}

/// Keeps a connection busy until it is dropped.
pub struct BusyConnection(Rc<ConnectionProgress>);

impl Drop for BusyConnection {
    fn drop(&mut self) {
        let left = self.0.busy.get().saturating_sub(1);
        self.0.busy.set(left);
        if left == 0 {
            self.0.phase.set(Phase::Idle(Instant::now() + IDLE_TIMEOUT));
            self.0.wake();
        }
    }
}

/// The rate at which a client takes what is sent to it.
pub(super) struct ReadRate {
    since: Instant,
    latest: Instant,
    bytes: u64,
}

impl ReadRate {
    pub fn from_now() -> Self {
        let now = Instant::now();
        Self { since: now, latest: now, bytes: 0 }
    }

    /// Notes that the client took bytes.
    pub fn note(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.latest = Instant::now();
    }

    /// Returns the time until which the client must take more.
    pub fn deadline(&self) -> Instant {
        let allowed = Duration::from_millis(self.bytes.saturating_mul(1000) / MIN_READ_BYTES_PER_SECOND);
        (self.since + UNREAD_TIMEOUT + allowed).min(self.latest + UNREAD_TIMEOUT)
    }
}
