//! A client's connection, which is cut when the client takes too long over it.
//!
//! The framework bounds the first head of a connection and the time between requests, but neither a later head that comes
//! byte by byte nor an answer that nobody reads.

pub use super::connection_progress::{Busy, Progress};
use super::connection_progress::{Phase, Slowness};
use super::connections_per_address::AddressSlot;
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

/// How long a client may take to send the head of a request.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long what a client still sends is read, after an answer that it did not wait for. Without that the system would take
/// back what the client has not read of the answer (RFC 9112, 9.6).
pub const LINGER: Duration = Duration::from_secs(1);
/// Reads of what is thrown away, before others on the thread have their turn.
const MAX_DISCARDING_READS: usize = 16;
/// The framework answers a first head that is late, before the connection is cut.
pub(crate) const LATE_HEAD_GRACE: Duration = Duration::from_secs(1);
/// Bytes of heads that are read before any of them is answered. The framework parses all that it has, at about 1 kB for a
/// request of 25 bytes.
const READ_AT_ONCE: usize = 2 * 1024;

/// A connection with a clock.
pub struct WatchedConnection<S> {
    stream: Take<S>,
    /// Counted as long as this lives.
    _open: Open,
    _slot: Option<AddressSlot>,
    progress: Rc<Progress>,
    /// Wakes at the next deadline, or earlier: it is set back only once it has rung.
    alarm: Pin<Box<Sleep>>,
    /// Bytes that were read since there were none to be read, or since the framework looked at them.
    read: usize,
    /// There since the client did not take something at once, until it has taken all that is at hand.
    slow: Option<Slowness>,
    /// There once nothing will be written any more.
    lingers_until: Option<Instant>,
}

impl<S: AsyncRead> WatchedConnection<S> {
    /// From now on it is the client's turn. The connection is one of those that its address may have.
    pub fn new(stream: S, encrypted: bool, slot: Option<AddressSlot>) -> Self {
        let until = Instant::now() + HEAD_TIMEOUT + LATE_HEAD_GRACE;
        let progress = Progress::new(until, encrypted, slot.as_ref().map(AddressSlot::bytes));
        Self {
            stream: stream.take(0),
            _open: Open::new(&metrics::http().connections),
            _slot: slot,
            progress,
            alarm: Box::pin(sleep_until(until)),
            read: 0,
            slow: None,
            lingers_until: None,
        }
    }
}

impl<S> WatchedConnection<S> {
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
    fn blocked<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.progress.block();
        let until = self.slow.get_or_insert_with(Slowness::from_now).deadline();
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
            readable = READ_AT_ONCE.saturating_sub(this.read);
            if readable == 0 {
                // There may be more: the framework comes back at once, after it has dealt with what it has.
                this.read = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        this.stream.set_limit(readable as u64);
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if outcome.is_ready() {
            let bytes = buffer.filled().len() - before;
            this.read += bytes;
            if bytes > 0 {
                this.progress.heard(bytes);
            }
            return outcome;
        }
        this.read = 0;
        match phase {
            // While it takes nothing, that is what it must do first.
            Phase::Idle(until) | Phase::Head(until) if this.slow.is_none() => this.wait(cx, until),
            _ => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> WatchedConnection<S> {
    /// Reads and throws away what the client sends, until it hangs up or its time is over.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = *self.lingers_until.get_or_insert_with(|| Instant::now() + LINGER);
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
            // What the framework has for requests behind the last answer.
            return Poll::Ready(Ok(bytes.len()));
        }
        let Poll::Ready(outcome) = Pin::new(self.stream.get_mut()).poll_write(cx, bytes) else {
            return self.blocked(cx);
        };
        self.progress.said();
        if let (Ok(bytes), Some(slow)) = (&outcome, &mut self.slow) {
            slow.took(*bytes);
        }
        Poll::Ready(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Poll::Ready(outcome) = Pin::new(self.stream.get_mut()).poll_flush(cx) else {
            return self.blocked(cx);
        };
        // The framework flushes once it has written all that it was given.
        self.progress.written();
        if !self.progress.more.get() {
            self.slow = None;
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
mod tests {
    use super::*;
    use crate::http::server::connection_progress::UNREAD_TIMEOUT;
    use actix_web::http::header::{self, HeaderMap, HeaderValue};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::{sleep, timeout},
    };

    const SOON: Duration = Duration::from_secs(1);

    /// A connection, and the client's end of it, which takes 64 bytes at a time.
    fn connected() -> (WatchedConnection<DuplexStream>, DuplexStream) {
        let (server, client) = duplex(64);
        (WatchedConnection::new(server, false, None), client)
    }

    /// How long it takes until reading ends with an error.
    async fn cut_after(watched: &mut WatchedConnection<DuplexStream>) -> Duration {
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
        let within = HEAD_TIMEOUT + LATE_HEAD_GRACE;
        let took = cut_after(&mut watched).await;
        assert!((within..within + SOON).contains(&took), "{took:?}");
        // It was a request after all, and was answered for however long: the next one has a time of its own.
        let busy = watched.progress().begin();
        let reading = timeout(10 * IDLE_TIMEOUT, cut_after(&mut watched)).await;
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
        assert!((IDLE_TIMEOUT..IDLE_TIMEOUT + SOON).contains(&took), "{took:?}");
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
            let idle = timeout(IDLE_TIMEOUT / 2, cut_after(&mut watched)).await;
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
        assert!((UNREAD_TIMEOUT..UNREAD_TIMEOUT + SOON).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    /// Takes so many bytes each time that so much time has passed, until there are no more.
    async fn take(mut client: DuplexStream, bytes: usize, every: Duration) -> usize {
        let (mut all, mut some) = (0, vec![0; bytes]);
        loop {
            sleep(every).await;
            match client.read(&mut some).await {
                Ok(0) | Err(_) => return all,
                Ok(more) => all += more,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_read_slowly_arrives() {
        let (mut watched, client) = connected();
        let _busy = watched.progress().begin();
        let reader = tokio::spawn(take(client, 64, Duration::from_millis(10)));
        let begun = Instant::now();
        watched.write_all(&vec![b'x'; 300_000]).await.expect("read in the end");
        assert!(begun.elapsed() > 2 * UNREAD_TIMEOUT);
        drop(watched);
        assert_eq!(reader.await.expect("no panic"), 300_000);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_read_too_slowly_is_given_up() {
        let (mut watched, client) = connected();
        let progress = watched.progress();
        let _busy = progress.begin();
        tokio::spawn(take(client, 64, SOON));
        let begun = Instant::now();
        // Piece by piece, of which each but the last has more behind it.
        progress.more.set(true);
        let error = loop {
            let written = match watched.write_all(&[b'x'; 200]).await {
                Ok(()) => watched.flush().await,
                failed => failed,
            };
            if let Err(error) = written {
                break error;
            }
            assert!(begun.elapsed() < 3 * UNREAD_TIMEOUT, "it goes on");
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(
            (UNREAD_TIMEOUT..UNREAD_TIMEOUT + 2 * SOON).contains(&begun.elapsed()),
            "{:?}",
            begun.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_small_parts_may_be_read_as_they_come() {
        let (mut watched, client) = connected();
        let _busy = watched.progress().begin();
        tokio::spawn(take(client, 64, SOON));
        let begun = Instant::now();
        while begun.elapsed() < 10 * UNREAD_TIMEOUT {
            watched.write_all(&[b'x'; 100]).await.expect("taken before there is more");
            watched.flush().await.expect("taken");
            sleep(2 * SOON).await;
        }
    }

    /// How much can be read without waiting.
    async fn readable(watched: &mut WatchedConnection<DuplexStream>) -> usize {
        let (mut all, mut some) = (0, [0; 8192]);
        while let Ok(Ok(bytes)) = timeout(Duration::from_millis(10), watched.read(&mut some)).await {
            all += bytes;
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn little_is_read_behind_a_request_that_is_being_answered() {
        let (server, mut client) = duplex(1 << 20);
        let mut watched = WatchedConnection::new(server, false, None);
        let progress = watched.progress();
        client.write_all(&vec![b'x'; 300_000]).await.expect("room");
        let busy = progress.begin();
        assert_eq!(readable(&mut watched).await, 4096);
        assert_eq!(readable(&mut watched).await, 0);
        // A body is, once it is asked for.
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("1000"));
        progress.expect_body(&headers);
        assert_eq!(readable(&mut watched).await, 1000);
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        progress.expect_body(&headers);
        progress.expect_body(&headers);
        assert_eq!(readable(&mut watched).await, 112 * 1024);
        // A second one is there at once in the framework's buffer, so that the answer is no end to reading.
        drop((progress.begin(), progress.begin()));
        assert_eq!(readable(&mut watched).await, 0);
        drop(busy);
        assert!(readable(&mut watched).await > 10_000, "all that is left");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_read_of_a_client_that_does_not_read() {
        let (server, mut client) = duplex(100);
        let mut watched = WatchedConnection::new(server, false, None);
        client.write_all(b"GET").await.expect("room");
        let written = timeout(SOON, watched.write_all(&[b'x'; 150])).await;
        assert!(written.is_err(), "the client reads nothing");
        assert_eq!(readable(&mut watched).await, 0);
        let mut answer = [0; 100];
        client.read_exact(&mut answer).await.expect("what was written");
        watched.flush().await.expect("nothing waits");
        assert_eq!(readable(&mut watched).await, 3);
    }
}
