//! The body of a stream: it sends what is in its mailbox, a heartbeat, and a farewell.

use super::events::{self, Bye, Hello, Lag};
use crate::{
    domain::{ids::OrderId, now},
    http::app_state::AppState,
    services::{
        accounts::Caller,
        feed::{OrderEvent, Pending, PendingMenu, Subscriber},
    },
    telemetry::metrics,
    util::backoff::jittered,
};
use actix_web::{
    body::{BodySize, MessageBody},
    web::{Bytes, Data},
};
use std::{
    collections::HashMap,
    convert::Infallible,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
    vec,
};
use tokio::time::{Instant, Sleep, sleep_until};

const BOARD_HEARTBEAT: Duration = Duration::from_secs(3);
const GUEST_HEARTBEAT: Duration = Duration::from_secs(15);
/// Shortest time between two batches of one stream.
const BATCH_INTERVAL: Duration = Duration::from_millis(250);
/// Longest time between two looks at the caller's access. A change of it wakes the stream, unless the feed does
/// not have it: one by a program of an earlier version, or while changes are not read.
const ACCESS_CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// Longest delay before the client of an ended stream begins another.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// Orders in one generation of sent versions; the latest two are remembered.
const MAX_SENT: usize = 512;
/// Bytes of a batch beyond which its rest waits until the connection asks for more.
const MAX_PART_BYTES: usize = 16 * 1024;

pub struct StreamStart {
    pub subscriber: Subscriber,
    pub caller: Caller,
    /// What the client has not seen at the start, if it said what it has seen.
    pub missed: Option<Pending>,
    pub is_board: bool,
    /// Expiry of the access token, in seconds since the Unix epoch.
    pub expires_at: Option<i64>,
}

pub struct EventStream {
    app: Data<AppState>,
    start: StreamStart,
    heartbeat: Duration,
    next_heartbeat: Instant,
    /// The next batch is not sent before.
    next_batch: Instant,
    /// Expiry of the access token.
    expiry: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
    /// Versions of orders that were sent.
    sent: HashMap<OrderId, i32>,
    /// The generation before `sent`.
    sent_before: HashMap<OrderId, i32>,
    state: State,
}

enum State {
    Beginning,
    /// The rest of a batch waits until the connection asks for it.
    Sending(Batch),
    Waiting,
    Ended,
}

/// Events with the position up to which the client has seen everything once it has them.
struct Batch {
    /// Events that are written already.
    text: String,
    orders: vec::IntoIter<Arc<OrderEvent>>,
    menu: Option<PendingMenu>,
    cursor: String,
}

impl EventStream {
    pub fn new(app: Data<AppState>, start: StreamStart) -> Self {
        let heartbeat = if start.is_board { BOARD_HEARTBEAT } else { GUEST_HEARTBEAT };
        let begun = Instant::now();
        let until_expiry = |at: i64| {
            let milliseconds = at.saturating_mul(1000).saturating_sub(now().0.timestamp_millis());
            Duration::from_millis(milliseconds.try_into().unwrap_or_default())
        };
        Self {
            app,
            heartbeat,
            next_heartbeat: begun + heartbeat,
            next_batch: begun,
            expiry: start.expires_at.map(|at| begun + until_expiry(at)),
            start,
            alarm: Box::pin(sleep_until(begun + heartbeat)),
            sent: HashMap::new(),
            sent_before: HashMap::new(),
            state: State::Beginning,
        }
    }

    /// Returns the greeting, with what the client has missed.
    fn first(&mut self) -> Batch {
        // The cursor first: what it includes was missed, or is in the mailbox.
        let cursor = self.app.feed.cursor();
        let hello =
            Hello { server_time: now(), heartbeat_seconds: self.heartbeat.as_secs(), feed: &cursor.feed };
        let mut text = String::new();
        events::write(&mut text, "hello", &hello);
        let mut pending = self.start.missed.take().unwrap_or_default();
        pending.unseen = !self.app.feed.unseen(self.start.caller).is_empty();
        pending.add(&self.start.subscriber.mailbox.take());
        self.batch(text, pending, cursor.to_string())
    }

    fn batch(&mut self, mut text: String, pending: Pending, cursor: String) -> Batch {
        let Pending { orders, menu, unseen, reset } = pending;
        if reset {
            metrics::feed().resets.inc();
            events::write(&mut text, "reset", &events::Reset {});
        }
        if unseen {
            let orders = self.app.feed.unseen(self.start.caller);
            events::write(&mut text, "unseen", &events::Unseen { orders });
        }
        Batch { text, orders: orders.into_iter(), menu, cursor }
    }

    /// Returns the next events of a batch, behind the last ones its id. Orders whose versions were sent are left
    /// out.
    fn part(&mut self, mut batch: Batch) -> String {
        let mut text = mem::take(&mut batch.text);
        while text.len() < MAX_PART_BYTES {
            let Some(event) = batch.orders.next() else {
                if let Some(menu) = &batch.menu {
                    events::write_menu(&mut text, menu);
                }
                events::write_id(&mut text, &batch.cursor);
                self.state = State::Waiting;
                return text;
            };
            if self.is_new(&event) {
                text.push_str(events::order(&event));
            }
        }
        self.state = State::Sending(batch);
        text
    }

    /// Remembers an order's version. Returns false if this one or a newer one was sent.
    fn is_new(&mut self, event: &OrderEvent) -> bool {
        let (id, version) = (event.order.placed.id, event.order.version);
        if [&self.sent, &self.sent_before]
            .iter()
            .any(|sent| sent.get(&id).is_some_and(|sent| *sent >= version))
        {
            return false;
        }
        if self.sent.len() >= MAX_SENT {
            self.sent_before = mem::take(&mut self.sent);
        }
        self.sent.insert(id, version);
        true
    }

    /// Returns whether the stream must end: its caller is no longer signed in, or the process stops.
    fn must_end(&self) -> bool {
        let StreamStart { caller, expires_at, .. } = self.start;
        let is_expired = expires_at.is_some_and(|at| now().0.timestamp() >= at);
        let access = self.app.accounts.current(caller);
        is_expired || access.is_none_or(|now| now.role != caller.role) || self.app.feed.is_stopping()
    }

    fn poll_text(&mut self, context: &mut Context<'_>) -> Poll<Option<String>> {
        match mem::replace(&mut self.state, State::Waiting) {
            State::Ended => {
                self.state = State::Ended;
                return Poll::Ready(None);
            }
            State::Beginning => {
                let first = self.first();
                return Poll::Ready(Some(self.part(first)));
            }
            State::Sending(batch) if !self.must_end() => return Poll::Ready(Some(self.part(batch))),
            State::Sending(_) | State::Waiting => {}
        }
        self.start.subscriber.mailbox.waker().register(context.waker());
        loop {
            if self.must_end() {
                self.state = State::Ended;
                return Poll::Ready(Some(farewell()));
            }
            let now = Instant::now();
            if let Some(text) = self.due(now) {
                return Poll::Ready(Some(text));
            }
            let next = self.next_look(now);
            self.alarm.as_mut().reset(next);
            ready!(self.alarm.as_mut().poll(context));
        }
    }

    /// Returns the events that are due, if there are any.
    fn due(&mut self, now: Instant) -> Option<String> {
        // Each time the cursor first: what it includes is in the mailbox.
        let cursor = || self.app.feed.cursor().to_string();
        if now >= self.next_batch && !self.start.subscriber.mailbox.is_empty() {
            let (cursor, pending) = (cursor(), self.start.subscriber.mailbox.take());
            self.next_batch = now + BATCH_INTERVAL;
            let batch = self.batch(String::new(), pending, cursor);
            return Some(self.part(batch));
        }
        if now < self.next_heartbeat {
            return None;
        }
        let cursor = cursor();
        self.next_heartbeat = now + self.heartbeat;
        let mut text = String::new();
        events::write(&mut text, "lag", &Lag::of(self.app.feed.lag()));
        if self.start.subscriber.mailbox.is_empty() {
            events::write_id(&mut text, &cursor);
        }
        Some(text)
    }

    /// Returns the time at which something is due, unless the stream is woken before.
    fn next_look(&self, now: Instant) -> Instant {
        let has_pending = !self.start.subscriber.mailbox.is_empty();
        let batch = has_pending.then_some(self.next_batch);
        let expiry = self.expiry.filter(|expiry| *expiry > now);
        let others = self.next_heartbeat.min(now + ACCESS_CHECK_INTERVAL);
        batch.into_iter().chain(expiry).fold(others, Instant::min)
    }
}

fn farewell() -> String {
    let retry_ms = u64::try_from(jittered(RETRY_DELAY).as_millis()).unwrap_or_default();
    let mut text = String::new();
    events::write(&mut text, "bye", &Bye { retry_ms });
    text
}

impl MessageBody for EventStream {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.poll_text(context).map(|text| text.map(|text| Ok(text.into())))
    }
}
