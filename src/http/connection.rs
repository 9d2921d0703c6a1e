//! A client's connection, which is cut when the client takes too long over it.
//!
//! The framework bounds the first head of a connection and the time between requests, but neither a later head that comes
//! byte by byte nor an answer that nobody reads.

use crate::telemetry::metrics::{self, Open};
use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// How long a client may take to send the head of a request.
pub const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
pub const IDLE: Duration = Duration::from_secs(75);
/// How long a client may take none of what is sent to it.
const UNREAD: Duration = Duration::from_secs(20);
/// The framework answers a first head that is late, before the connection is cut.
const ANSWER: Duration = Duration::from_secs(1);

/// Where a connection stands. It lives on one thread, together with its requests.
pub struct Progress {
    phase: Cell<Phase>,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

#[derive(Clone, Copy)]
enum Phase {
    /// Nothing of a request is there; one must begin in time.
    Idle(Instant),
    /// Some of a head is there; all of it must be in time.
    Head(Instant),
    /// A request is being answered: who does that watches over its time.
    Busy,
}

impl Progress {
    /// A request is there. It is being answered until what this returns is dropped.
    pub fn begin(self: &Rc<Self>) -> Busy {
        self.phase.set(Phase::Busy);
        Busy(self.clone())
    }

    /// Whether the request that is to be answered was there before the one before it ended. Says so once.
    pub fn has_waiting_request(&self) -> bool {
        let waits = matches!(self.phase.get(), Phase::Idle(_));
        if waits {
            self.phase.set(Phase::Head(Instant::now() + HEAD_WITHIN));
        }
        waits
    }

    fn heard(&self) {
        if let Phase::Idle(_) = self.phase.get() {
            self.phase.set(Phase::Head(Instant::now() + HEAD_WITHIN + ANSWER));
        }
    }

    /// What was sent is part of an answer that goes on.
    fn said(&self) {
        match self.phase.get() {
            Phase::Idle(_) => self.phase.set(Phase::Idle(Instant::now() + IDLE)),
            Phase::Head(until) => {
                self.phase.set(Phase::Head(until.max(Instant::now() + HEAD_WITHIN)));
            }
            Phase::Busy => {}
        }
    }
}

/// A request that is being answered.
pub struct Busy(Rc<Progress>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.phase.set(Phase::Idle(Instant::now() + IDLE));
    }
}

/// A connection with a clock.
pub struct Watched<S> {
    stream: S,
    /// Counted as long as this lives.
    _open: Open,
    progress: Rc<Progress>,
    /// Wakes at the next deadline, or earlier: it is set back only once it has rung.
    alarm: Pin<Box<Sleep>>,
    /// Since when the client takes nothing.
    unread_since: Option<Instant>,
}

impl<S> Watched<S> {
    /// From now on it is the client's turn.
    pub fn new(stream: S, encrypted: bool) -> Self {
        let until = Instant::now() + HEAD_WITHIN + ANSWER;
        let progress = Rc::new(Progress { phase: Cell::new(Phase::Head(until)), encrypted });
        let open = Open::new(&metrics::http().connections);
        Self { stream, _open: open, progress, alarm: Box::pin(sleep_until(until)), unread_since: None }
    }

    /// Where it stands.
    pub fn progress(&self) -> Rc<Progress> {
        self.progress.clone()
    }

    /// Waits no longer than until then.
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

    /// Waits for the client to take something.
    fn sent<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.unread_since = None;
            return outcome;
        }
        let since = *self.unread_since.get_or_insert_with(Instant::now);
        self.wait(cx, since + UNREAD)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if outcome.is_ready() {
            if buffer.filled().len() > before {
                self.progress.heard();
            }
            return outcome;
        }
        match self.progress.phase.get() {
            // While it takes nothing, that is what it must do first.
            Phase::Idle(until) | Phase::Head(until) if self.unread_since.is_none() => self.wait(cx, until),
            _ => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if outcome.is_ready() {
            self.progress.said();
        }
        self.sent(cx, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.sent(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.sent(cx, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::{sleep, timeout},
    };

    const SOON: Duration = Duration::from_secs(1);

    /// A connection, and the client's end of it, which takes 64 bytes at a time.
    fn connected() -> (Watched<DuplexStream>, DuplexStream) {
        let (server, client) = duplex(64);
        (Watched::new(server, false), client)
    }

    /// How long it takes until reading ends with an error.
    async fn cut_after(watched: &mut Watched<DuplexStream>) -> Duration {
        let begun = Instant::now();
        let mut buffer = [0; 64];
        loop {
            match watched.read(&mut buffer).await {
                Ok(0) => panic!("the client hung up"),
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    return begun.elapsed();
                }
            }
        }
    }

    /// Sends a byte a second.
    async fn dribble(mut client: DuplexStream) -> DuplexStream {
        while client.write_all(b"x").await.is_ok() {
            sleep(SOON).await;
        }
        client
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_must_be_there_in_time_the_first_and_each_later_one() {
        let (mut watched, client) = connected();
        let client = tokio::spawn(dribble(client));
        let within = HEAD_WITHIN + ANSWER;
        let took = cut_after(&mut watched).await;
        assert!((within..within + SOON).contains(&took), "{took:?}");
        // It was a request after all, and was answered for however long: the next one has a time of its own.
        let busy = watched.progress().begin();
        let reading = timeout(10 * IDLE, cut_after(&mut watched)).await;
        assert!(reading.is_err(), "cut while it is answered");
        drop(busy);
        let took = cut_after(&mut watched).await;
        assert!((within..within + 2 * SOON).contains(&took), "{took:?}");
        client.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_kept_for_a_while() {
        let (mut watched, _client) = connected();
        drop(watched.progress().begin());
        let took = cut_after(&mut watched).await;
        assert!((IDLE..IDLE + SOON).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_goes_on_keeps_the_connection() {
        let (mut watched, mut client) = connected();
        drop(watched.progress().begin());
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            let _ = client.read_to_end(&mut all).await;
            all.len()
        });
        for _ in 0..10 {
            watched.write_all(b"still here").await.expect("written");
            let idle = timeout(IDLE / 2, cut_after(&mut watched)).await;
            assert!(idle.is_err(), "cut between two parts");
        }
        drop(watched);
        assert_eq!(reader.await.expect("no panic"), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_is_given_up() {
        let (mut watched, _client) = connected();
        let _busy = watched.progress().begin();
        let begun = Instant::now();
        let written = watched.write_all(&[b'x'; 1000]).await;
        assert_eq!(written.expect_err("never read").kind(), io::ErrorKind::TimedOut);
        assert!((UNREAD..UNREAD + SOON).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_read_slowly_arrives() {
        let (mut watched, mut client) = connected();
        let _busy = watched.progress().begin();
        let reader = tokio::spawn(async move {
            let (mut all, mut some) = (0, [0; 16]);
            while all < 1000 {
                sleep(UNREAD / 2).await;
                all += client.read(&mut some).await.expect("more");
            }
        });
        watched.write_all(&[b'x'; 1000]).await.expect("read in the end");
        reader.await.expect("all of it");
    }
}
