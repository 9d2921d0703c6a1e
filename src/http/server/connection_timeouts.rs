//! Timeouts of a client's connection.
//!
//! The framework bounds the first head of a connection and the time between requests, but neither a later head that comes byte by
//! byte nor a response that the client does not read.

use super::{
    connection_progress::{ConnectionProgress, HEAD_TIMEOUT, LATE_HEAD_GRACE, Phase, ReadRate},
    connection_slots::ConnectionSlot,
};
use crate::telemetry::metrics::{self, Open};
use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take},
    time::{Instant, Sleep, sleep_until},
};

/// The time for which the rest of a request is read and discarded, after a response that the client did not wait for. Without
/// that the system would take back what the client has not read of the response (RFC 9112, 9.6).
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// Discarding reads in a row, before other connections of the thread have their turn.
const MAX_DISCARDING_READS: usize = 16;
/// Bytes of heads that are read before any of them is answered. The framework parses all that it has, and needs about 1 kB for a
/// request of 25 bytes.
const MAX_HEAD_READ_BYTES: usize = 2 * 1024;

/// A connection that fails with [`io::ErrorKind::TimedOut`] when the client is too slow.
pub struct WatchedConnection<S> {
    stream: Take<S>,
    _open: Open,
    progress: Rc<ConnectionProgress>,
    /// Wakes at the next deadline, or earlier: it is put off only once it has elapsed.
    alarm: Pin<Box<Sleep>>,
    /// Bytes that were read since there were none to read, or since the framework looked at them.
    read_bytes: usize,
    /// Set when the client does not take bytes at once, until it has taken all that are ready.
    read_rate: Option<ReadRate>,
    /// Set once nothing more will be written.
    lingers_until: Option<Instant>,
}

impl<S: AsyncRead> WatchedConnection<S> {
    /// Wraps a new connection, from which a head must come in time. It takes its `slot` until it ends.
    pub fn new(stream: S, encrypted: bool, slot: ConnectionSlot) -> Self {
        let until = Instant::now() + HEAD_TIMEOUT + LATE_HEAD_GRACE;
        let progress = ConnectionProgress::new(until, encrypted, slot);
        Self {
            stream: stream.take(0),
            _open: Open::new(&metrics::http().connections),
            progress,
            alarm: Box::pin(sleep_until(until)),
            read_bytes: 0,
            read_rate: None,
            lingers_until: None,
        }
    }
}

impl<S> WatchedConnection<S> {
    pub fn progress(&self) -> Rc<ConnectionProgress> {
        self.progress.clone()
    }

    /// Waits to be woken for something else, and fails at the deadline.
    fn wait<T>(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<io::Result<T>> {
        loop {
            if Instant::now() >= until {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            if self.alarm.is_elapsed() || self.alarm.deadline() > until {
                self.alarm.as_mut().reset(until);
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Waits for the client to take bytes.
    fn blocked<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.progress.blocked.set(true);
        let until = self.read_rate.get_or_insert_with(ReadRate::from_now).deadline();
        let waited = self.wait(cx, until);
        if waited.is_ready() {
            metrics::http().slow_readers.inc();
        }
        waited
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedConnection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let phase = this.progress.phase.get();
        let mut readable = this.progress.readable();
        if readable == 0 {
            this.progress.wait(cx);
            return Poll::Pending;
        }
        if !matches!(phase, Phase::Busy) {
            readable = MAX_HEAD_READ_BYTES.saturating_sub(this.read_bytes);
            if readable == 0 {
                // There may be more: the framework reads again at once, after it has parsed what it has.
                this.read_bytes = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        this.stream.set_limit(readable as u64);
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if outcome.is_ready() {
            let bytes = buffer.filled().len() - before;
            this.read_bytes += bytes;
            if bytes > 0 {
                this.progress.note_read(bytes);
            } else if this.progress.carries_stream() {
                // The client has left. The framework would send on until a write fails, which is two events later.
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            return outcome;
        }
        this.read_bytes = 0;
        match phase {
            // A client that takes nothing must do that first.
            Phase::Idle(until) | Phase::Head(until) if this.read_rate.is_none() => this.wait(cx, until),
            _ => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> WatchedConnection<S> {
    /// Reads and discards bytes until the client hangs up or [`LINGER_TIMEOUT`] is over.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = *self.lingers_until.get_or_insert_with(|| Instant::now() + LINGER_TIMEOUT);
        let mut bytes = [0; 1024];
        for _ in 0..MAX_DISCARDING_READS {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(self.stream.get_mut()).poll_read(cx, &mut buffer) {
                Poll::Pending => return self.wait::<()>(cx, until).map(|_| ()),
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && Instant::now() < until => {}
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WatchedConnection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.progress.has_written_last() {
            // The framework's responses to requests behind the last response.
            return Poll::Ready(Ok(bytes.len()));
        }
        let Poll::Ready(outcome) = Pin::new(self.stream.get_mut()).poll_write(cx, bytes) else {
            return self.blocked(cx);
        };
        self.progress.note_write();
        if let (Ok(bytes), Some(rate)) = (&outcome, &mut self.read_rate) {
            rate.note(*bytes);
        }
        Poll::Ready(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Poll::Ready(outcome) = Pin::new(self.stream.get_mut()).poll_flush(cx) else {
            return self.blocked(cx);
        };
        // The framework flushes once it has written all that it was given.
        self.progress.note_flush();
        if !self.progress.has_more.get() {
            self.read_rate = None;
        }
        Poll::Ready(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Poll::Ready(outcome) = Pin::new(self.stream.get_mut()).poll_shutdown(cx) else {
            return self.blocked(cx);
        };
        if outcome.is_ok() && self.progress.has_written_last() && self.linger(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(outcome)
    }
}

#[cfg(test)]
#[path = "connection_timeouts_tests.rs"]
mod tests;
