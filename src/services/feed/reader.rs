//! The reader of the feed.

use super::{Feed, MAX_UNSEEN_CHANGES, OrderEvent, POLL_INTERVAL, RETENTION, begin, ring::Ring};
use crate::{
    domain::ids::OrderId,
    services::{accounts::Revocations, menu::Menu, orders::OrderCaches},
    store::{
        self, Store,
        changes::{self, NewChanges, StoredChange},
        orders,
    },
    telemetry::{log_throttle, metrics},
    util::backoff::jittered,
};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

/// Time since the latest read from which the changes are counted before they are loaded.
const LATE: Duration = Duration::from_secs(5);
/// Time since the latest read from which everything is read again.
const TOO_LATE: Duration = RETENTION;
/// Time between two checks that the feed is still the one that was begun: a dump that is restored over the
/// tables breaks no connection, and a failover may take less time than [`LATE`].
const FEED_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Time that one read waits for the reader's own connection, which may have to be opened.
const OWN_CONNECTION_TIMEOUT: Duration = Duration::from_millis(200);
/// Time after which the reader asks for one again, if the server had none.
const OWN_CONNECTION_RETRY: Duration = Duration::from_secs(10);
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Parts of the process that the reader keeps fresh.
pub struct Caches {
    pub menu: Menu,
    pub revocations: Revocations,
    pub orders: OrderCaches,
}

/// A read of the feed.
enum Read {
    New(NewChanges),
    /// There are too many changes to load, or the feed is another one.
    Everything,
}

impl Feed {
    /// Returns whether parts of the process should no longer rely on the feed.
    pub fn is_late(&self) -> bool {
        self.lag() > LATE
    }

    /// Reads changes until the process stops.
    pub async fn run(self, caches: Caches) {
        let stop = self.shared.stop.clone();
        let own = OwnConnection::Unused;
        let mut reader = Reader { feed: self, caches, own, checked_at: Instant::now() };
        let mut failing = false;
        while !stop.is_cancelled() {
            // Streams end at once, whatever the database does.
            let Some(outcome) = stop.run_until_cancelled(reader.step()).await else { break };
            let delay = match outcome {
                Ok(()) => {
                    if failing {
                        tracing::info!("changes are read again");
                        failing = false;
                    }
                    POLL_INTERVAL
                }
                Err(error) => {
                    failing = true;
                    if let Some(repeated) = log_throttle::admit("the feed of changes") {
                        tracing::warn!(%error, repeated, "failed to read changes; live boards and caches are not up to date");
                    }
                    jittered(RETRY_DELAY)
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                _ = timeout(delay, reader.feed.shared.wake.notified()) => {}
            }
        }
        reader.feed.shared.hub.wake_all();
    }
}

struct Reader {
    feed: Feed,
    caches: Caches,
    own: OwnConnection,
    /// Time of the latest check of the feed's name.
    checked_at: Instant,
}

/// The reader's own connection. Requests come first: the reader has one only while the server accepts
/// connections for both.
enum OwnConnection {
    Unused,
    Usable,
    /// A task asks for it.
    Awaited(JoinHandle<bool>),
    /// The server had no connection for it at this time.
    Refused(Instant),
}

impl Reader {
    async fn step(&mut self) -> store::Result<()> {
        let begun = Instant::now();
        match self.read(begun).await? {
            Read::New(new) => self.deliver(new, begun).await,
            Read::Everything => self.begin_again(begun).await,
        }
    }

    async fn read(&mut self, begun: Instant) -> store::Result<Read> {
        let (position, lag, known_feed) = {
            let state = self.feed.shared.state();
            (state.ring.newest().clone(), state.seen_at.elapsed(), state.feed.clone())
        };
        if lag > TOO_LATE {
            return Ok(Read::Everything);
        }
        let store = self.store().await;
        let is_late = lag > LATE;
        let checks_feed = is_late || self.checked_at.elapsed() > FEED_CHECK_INTERVAL;
        let read = store.read(async move |conn| {
            if checks_feed && changes::feed(conn).await? != known_feed {
                return Ok(None);
            }
            if is_late && !changes::is_loadable(conn, &position, MAX_UNSEEN_CHANGES).await? {
                return Ok(None);
            }
            let unseen = changes::unseen(conn, &position, MAX_UNSEEN_CHANGES).await?;
            // A server that has seen less than the reader is another one.
            Ok(unseen.filter(|unseen| unseen.position.includes(&position)))
        });
        let read = read.await?;
        if checks_feed {
            self.checked_at = begun;
        }
        Ok(read.map_or(Read::Everything, Read::New))
    }

    /// Returns the store with a connection of its own, or that of requests while the server has no further
    /// connection.
    async fn store(&mut self) -> Store {
        let shared = &self.feed.shared;
        if shared.store.is_waiting_for_server() {
            shared.own.close_idle_connections();
            self.own = OwnConnection::Refused(Instant::now());
            return shared.store.clone();
        }
        let mut asking = match std::mem::replace(&mut self.own, OwnConnection::Unused) {
            OwnConnection::Refused(at) if at.elapsed() < OWN_CONNECTION_RETRY => {
                self.own = OwnConnection::Refused(at);
                return shared.store.clone();
            }
            OwnConnection::Awaited(asking) if !asking.is_finished() => {
                self.own = OwnConnection::Awaited(asking);
                return shared.store.clone();
            }
            OwnConnection::Awaited(asking) => asking,
            _ => {
                let own = shared.own.clone();
                tokio::spawn(async move { own.conn().await.is_ok() })
            }
        };
        self.own = match timeout(OWN_CONNECTION_TIMEOUT, &mut asking).await {
            Ok(Ok(true)) => OwnConnection::Usable,
            Ok(_) => OwnConnection::Refused(Instant::now()),
            Err(_) => OwnConnection::Awaited(asking),
        };
        self.present_store()
    }

    fn present_store(&self) -> Store {
        let shared = &self.feed.shared;
        if matches!(self.own, OwnConnection::Usable) { shared.own.clone() } else { shared.store.clone() }
    }

    async fn deliver(&mut self, new: NewChanges, begun: Instant) -> store::Result<()> {
        let shared = &self.feed.shared;
        let NewChanges { changes, position } = new;
        let changes: Vec<Arc<StoredChange>> = changes.into_iter().map(Arc::new).collect();
        // First: clients wait for these.
        self.caches.orders.note_changed(changes.iter().flat_map(|change| &change.what.orders));
        if changes.iter().any(|change| change.what.menu.is_some()) {
            self.caches.menu.refresh().await?;
        }
        if changes.iter().any(|change| !change.what.access.is_empty()) {
            self.caches.revocations.refresh().await?;
        }
        let mut wanted = shared.hub.wanted(&changes);
        loop {
            let events = self.load(&wanted).await?;
            // At one time: a stream that begins finds a change in the ring, or gets it from the hub.
            let mut state = shared.state();
            match shared.hub.distribute(&changes, &wanted, &events) {
                Ok(()) => {
                    let read = u64::try_from(changes.len()).unwrap_or_default();
                    metrics::feed().changes_read.inc_by(read);
                    state.ring.push(changes, position);
                    state.seen_at = begun;
                    return Ok(());
                }
                Err(more) => wanted = more,
            }
        }
    }

    async fn load(&self, ids: &HashSet<OrderId>) -> store::Result<Vec<Arc<OrderEvent>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<OrderId> = ids.iter().copied().collect();
        let store = self.present_store();
        let orders = store.read(async move |conn| orders::find_all(conn, &ids).await).await?;
        Ok(orders.into_iter().map(OrderEvent::new).collect())
    }

    /// Begins at the present position: caches are loaded whole, and clients read everything again.
    async fn begin_again(&mut self, begun: Instant) -> store::Result<()> {
        let shared = &self.feed.shared;
        let (feed, position) = begin(&shared.store).await?;
        self.caches.menu.refresh().await?;
        self.caches.revocations.refresh().await?;
        let mut state = shared.state();
        (state.feed, state.ring, state.seen_at) = (feed, Ring::new(position), begun);
        shared.hub.reset();
        Ok(())
    }
}
