//! The state that a connection shares with the requests that it carries. Both live on one thread.

use crate::http::server::response_memory::MemoryReservation;
use actix_web::http::header::{self, HeaderMap};
use std::{
    cell::Cell,
    rc::Rc,
    sync::{Arc, atomic::AtomicUsize},
    task::{Context, Waker},
    time::Duration,
};
use tokio::time::Instant;

use super::connection_timeouts::{HEAD_TIMEOUT, IDLE_TIMEOUT, LATE_HEAD_GRACE};

/// Bytes read of requests that are pipelined behind the one being answered.
const READ_AHEAD: usize = 4 * 1024;
/// The most that is read for one body, with its framing. The framework polls without end once its buffer holds 128 KiB.
const MAX_BODY_READ: usize = 112 * 1024;

/// The state of a connection.
pub struct Progress {
    pub(crate) phase: Cell<Phase>,
    /// Encrypted with TLS.
    pub encrypted: bool,
    /// Bytes of answers under way to the client's address; `None` where the address has no limit.
    pub address_bytes: Option<Arc<AtomicUsize>>,
    /// Requests and answers under way: more than one only while an answer is handed to the connection.
    busy: Cell<usize>,
    /// What may be read before the request under way is answered.
    read_ahead: Cell<usize>,
    /// A chunked body was read since the connection was idle: its size is unknown, so that there is one allowance for all.
    chunked: Cell<bool>,
    /// The client takes nothing at the moment.
    blocked: Cell<bool>,
    /// The answer under way has more bytes at hand than were given to the connection.
    pub(in crate::http) more: Cell<bool>,
    /// Of answers that were handed to the connection and are not written yet.
    unwritten: Cell<Vec<MemoryReservation>>,
    /// How far its end is, after an answer that said `Connection: close`.
    ending: Cell<Ending>,
    /// The connection's task, where it waits for one of the above.
    waiting: Cell<Option<Waker>>,
}

/// The end of a connection with an answer that says so. Requests that were there before it are not processed (RFC 9112, 9.6);
/// the framework, which has read them already, takes the answer for the last one only where it has none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It goes on.
    Open,
    /// The last answer is under way.
    Announced,
    /// That one is complete, and what is written next ends it.
    Complete,
    /// All of it is written. Nothing else will be.
    Written,
}

#[derive(Clone, Copy)]
pub(crate) enum Phase {
    /// Nothing of a request is there; one must begin in time.
    Idle(Instant),
    /// Some of a head is there; all of it must be in time.
    Head(Instant),
    /// A request is being answered: who does that watches over its time.
    Busy,
}

impl Progress {
    pub(crate) fn new(
        first_head: Instant,
        encrypted: bool,
        address_bytes: Option<Arc<AtomicUsize>>,
    ) -> Rc<Self> {
        Rc::new(Self {
            phase: Cell::new(Phase::Head(first_head)),
            encrypted,
            address_bytes,
            busy: Cell::default(),
            read_ahead: Cell::new(READ_AHEAD),
            chunked: Cell::default(),
            blocked: Cell::default(),
            more: Cell::default(),
            unwritten: Cell::default(),
            ending: Cell::new(Ending::Open),
            waiting: Cell::default(),
        })
    }

    /// A request is there. It is being answered until what this returns is dropped.
    pub fn begin(self: &Rc<Self>) -> Busy {
        self.phase.set(Phase::Busy);
        self.busy.set(self.busy.get() + 1);
        Busy(self.clone())
    }

    /// Whether the request that is to be answered was there before the one before it ended. Says so once.
    pub fn has_waiting_request(&self) -> bool {
        let waits = matches!(self.phase.get(), Phase::Idle(_));
        if waits {
            // Its turn comes before more is read.
            self.phase.set(Phase::Busy);
        }
        waits
    }

    /// Allows for the body that these headers announce to be read.
    pub fn expect_body(&self, headers: &HeaderMap) {
        let length = if headers.contains_key(header::TRANSFER_ENCODING) {
            if self.chunked.replace(true) { 0 } else { MAX_BODY_READ }
        } else {
            let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
            length.and_then(|length| length.parse().ok()).unwrap_or(0)
        };
        self.read_ahead.set(self.read_ahead.get().saturating_add(length).min(MAX_BODY_READ));
        if length > 0 {
            self.wake();
        }
    }

    /// Holds this until what was handed to the connection is written, or the connection is gone.
    pub fn hold_until_written(&self, reservation: MemoryReservation) {
        let mut unwritten = self.unwritten.take();
        unwritten.push(reservation);
        self.unwritten.set(unwritten);
    }

    /// The answer that now begins is the last one.
    pub fn announce_end(&self) {
        if self.ending.get() == Ending::Open {
            self.ending.set(Ending::Announced);
        }
    }

    /// Tells whether the request that comes now is behind the last answer. The framework comes to it when that is complete.
    pub fn is_behind_end(&self) -> bool {
        if self.ending.get() == Ending::Announced {
            self.ending.set(Ending::Complete);
        }
        self.ending.get() != Ending::Open
    }

    /// Tells whether the last answer is written, so that nothing else may be.
    pub fn has_written_last(&self) -> bool {
        self.ending.get() == Ending::Written
    }

    /// How much may be read now.
    pub(crate) fn readable(&self) -> usize {
        match self.phase.get() {
            _ if self.blocked.get() => 0,
            Phase::Busy => self.read_ahead.get(),
            Phase::Idle(_) | Phase::Head(_) => {
                self.read_ahead.set(READ_AHEAD);
                self.chunked.set(false);
                usize::MAX
            }
        }
    }

    /// So much was read.
    pub(crate) fn heard(&self, bytes: usize) {
        match self.phase.get() {
            Phase::Idle(_) => self.phase.set(Phase::Head(Instant::now() + HEAD_TIMEOUT + LATE_HEAD_GRACE)),
            Phase::Head(_) => {}
            Phase::Busy => self.read_ahead.set(self.read_ahead.get().saturating_sub(bytes)),
        }
    }

    /// What was sent is part of an answer that goes on.
    pub(crate) fn said(&self) {
        match self.phase.get() {
            Phase::Idle(_) => self.phase.set(Phase::Idle(Instant::now() + IDLE_TIMEOUT)),
            Phase::Head(until) => {
                self.phase.set(Phase::Head(until.max(Instant::now() + HEAD_TIMEOUT)));
            }
            Phase::Busy => {}
        }
    }

    /// The client took nothing.
    pub(crate) fn block(&self) {
        self.blocked.set(true);
    }

    /// All that was handed to the connection is written.
    pub(crate) fn written(&self) {
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

    /// The task is woken when more may be read or answered.
    pub(in crate::http) fn wait(&self, cx: &Context<'_>) {
        self.waiting.set(Some(cx.waker().clone()));
    }

    fn wake(&self) {
        if let Some(task) = self.waiting.take() {
            task.wake();
        }
    }
}

/// A request that is being answered.
pub struct Busy(Rc<Progress>);

impl Drop for Busy {
    fn drop(&mut self) {
        let left = self.0.busy.get().saturating_sub(1);
        self.0.busy.set(left);
        if left == 0 {
            self.0.phase.set(Phase::Idle(Instant::now() + IDLE_TIMEOUT));
            self.0.wake();
        }
    }
}

/// How long a client takes over what is sent to it.
pub(crate) struct Slowness {
    since: Instant,
    latest: Instant,
    taken: u64,
}

/// How long a client may take none of what is sent to it.
pub(crate) const UNREAD_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes a second that a client must take on average, after the first [`UNREAD_TIMEOUT`], of what is ready to be sent.
pub(crate) const MIN_RATE: u64 = 4 * 1024;

impl Slowness {
    pub(crate) fn from_now() -> Self {
        let now = Instant::now();
        Self { since: now, latest: now, taken: 0 }
    }

    pub(crate) fn took(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes as u64);
        self.latest = Instant::now();
    }

    /// When the client must have taken more.
    pub(crate) fn deadline(&self) -> Instant {
        let on_average =
            self.since + UNREAD_TIMEOUT + Duration::from_millis(self.taken.saturating_mul(1000) / MIN_RATE);
        on_average.min(self.latest + UNREAD_TIMEOUT)
    }
}
