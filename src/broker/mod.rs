//! The message broker: topology, supervised connections, channel pools, publishing with confirms, consuming in batches.
//!
//! One process has two connections, for publishing and for consuming: an alarm of the broker blocks a connection that
//! publishes, and must not keep workers from draining the queue. Each has a pool of channels (`channel_pool`) and a task
//! that opens it again when it is lost (`connection`). One task publishes (`publish_task`), whichever thread asks
//! (`publisher`), and a gate (`circuit_breaker`) answers at once while the broker is away.

mod amqp_call;
mod channel_pool;
mod circuit_breaker;
mod confirm_tracker;
mod confirms;
mod connection;
mod consumer;
mod duplicates;
mod durability_check;
mod error;
mod field_table;
mod json_seq;
pub mod order_message;
mod publish_batch;
mod publish_task;
mod publisher;
mod retry_headers;
mod topology;
mod trace_headers;
mod url;

use std::sync::Arc;
use std::time::Duration;

use amqprs::channel::QueueDeclareArguments;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use self::url::BrokerUrlError;
pub use consumer::Subscription;
pub use consumer::acknowledgements::DeliveryTag;
pub use consumer::channel_consumer::Delivery;
pub use duplicates::DuplicateCheck;
pub use error::PublishError;
pub use error::{PostponeError, QueueError};
pub use json_seq::OversizeError;
pub use publisher::Publisher;
pub use retry_headers::RetryInfo;
pub use topology::Source;

use self::url::BrokerUrl;
use amqp_call::{CALL_TIMEOUT, log_failed};
use channel_pool::ChannelPool;
use circuit_breaker::{CircuitBreaker, CircuitState};
use connection::{Current, Purpose, supervise};
use consumer::Opening;
use consumer::reception::Reception;
use durability_check::management_api::Management;
use durability_check::{DurabilityCheck, DurabilityFindings};
use publish_task::PublishTask;
use publisher::{MAX_UNCONFIRMED_ORDERS, Message, Route};
use topology::Topology;

use crate::telemetry::Scope;
use crate::telemetry::metrics::MetricLabel;
use crate::telemetry::traces::TraceContext;

/// How long the broker may take to confirm a message.
const CONFIRM_TIMEOUT: Duration = Duration::from_millis(600);
/// How long a new subscription waits for a connection that is being opened.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest time for which a consumer is relied on: with the time that everything else takes, well below 10 s.
const CONSUMER_LIFETIME: Duration = Duration::from_secs(5);
/// What `close` leaves for the connections when the confirms took all of its time.
const MIN_CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Which broker, and under which names.
#[derive(Clone)]
pub struct Settings {
    /// `amqp://USER:PASSWORD@HOST:PORT/VHOST`
    pub url: SecretString,
    /// Begins the names of exchanges and queues, so that several systems can share a broker.
    pub prefix: String,
    /// How long the broker may take to confirm a message.
    pub confirm_within: Duration,
    /// The time after which another consumer takes the place of one.
    pub consumer_lifetime: Duration,
    /// Where the broker's management API is, if not at port 15672 of the same host.
    pub management_url: Option<SecretString>,
}

impl Settings {
    /// The settings with their default times.
    pub fn new(url: SecretString, prefix: impl Into<String>) -> Self {
        Self {
            url,
            prefix: prefix.into(),
            confirm_within: CONFIRM_TIMEOUT,
            consumer_lifetime: CONSUMER_LIFETIME,
            management_url: None,
        }
    }
}

/// A message that shall come again later.
pub struct Postponed {
    /// What it is named.
    pub id: Uuid,
    /// Its content type, where this program knows it not.
    pub foreign: Option<String>,
    /// The content.
    pub body: Vec<u8>,
    /// What it shall say of the attempts so far.
    pub failures: RetryInfo,
    /// Where it is in a trace.
    pub place: TraceContext,
}

/// What waits in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that nobody has been given yet.
    pub messages: u32,
    /// Subscriptions of all processes.
    pub consumers: u32,
}

/// One process' link to the broker. Cheap to clone; the connections close when the last clone and publisher are gone.
#[derive(Clone)]
pub struct Broker {
    topology: Topology,
    consuming: Current,
    publishing_pool: ChannelPool,
    consuming_pool: ChannelPool,
    consumer_lifetime: Duration,
    reception: Reception,
    publisher: Publisher,
    management: Management,
    publishing_task: TaskTracker,
    connections: TaskTracker,
    stop: Arc<StopOnDrop>,
    /// Set as soon as one of the tasks has ended, however.
    ended: CancellationToken,
}

/// Ends the tasks in their order: what publishes, then the connections.
struct StopOnDrop {
    publishing: CancellationToken,
    connections: CancellationToken,
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.publishing.cancel();
        self.connections.cancel();
    }
}

/// Runs a task and sets `ended` when it is gone, also by a panic.
async fn telling(ended: CancellationToken, task: impl Future<Output = ()>) {
    let _guard = ended.drop_guard();
    task.await;
}

impl Broker {
    /// Checks the settings and starts to connect; the broker need not be up.
    ///
    /// All tasks run on the runtime that this is called in, whichever thread later uses the broker.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(settings: Settings) -> Result<Self, BrokerUrlError> {
        let Settings { url, prefix, confirm_within, consumer_lifetime, management_url } = settings;
        let address = BrokerUrl::parse(url.expose_secret())?;
        url::check_prefix(&prefix)?;
        let management =
            management_url.as_ref().map(ExposeSecret::expose_secret).filter(|url| !url.is_empty());
        let management = Management::new(management, &address, &prefix)?;
        let runtime = Handle::current();
        let stop = Arc::new(StopOnDrop {
            publishing: CancellationToken::new(),
            connections: CancellationToken::new(),
        });
        let ended = CancellationToken::new();
        let connections = TaskTracker::new();
        let connect = |purpose: Purpose| {
            let (sender, current) = watch::channel(None);
            let arguments = address.named(&format!("shakerqueue {}", purpose.label()));
            let supervised = supervise(arguments, purpose, runtime.clone(), sender, stop.connections.clone());
            connections.spawn_on(telling(ended.clone(), supervised), &runtime);
            (ChannelPool::new(current.clone()), current)
        };
        let (publishing_pool, publishing) = connect(Purpose::Publishing);
        let (consuming_pool, consuming) = connect(Purpose::Consuming);

        let topology = Topology::new(&prefix);
        let gate = Arc::new(CircuitBreaker::new());
        let (outgoing, messages) = mpsc::channel(MAX_UNCONFIRMED_ORDERS);
        let publishing = PublishTask {
            topology: topology.clone(),
            pool: publishing_pool.clone(),
            current: publishing,
            gate: gate.clone(),
            confirm_within,
        };
        let publishing_task = TaskTracker::new();
        let publishing = publishing.run(messages, stop.publishing.clone());
        publishing_task.spawn_on(telling(ended.clone(), publishing), &runtime);
        let bound = Arc::new(Semaphore::new(MAX_UNCONFIRMED_ORDERS));
        let publisher = Publisher { gate, bound, outgoing, _stop: stop.clone() };
        Ok(Self {
            topology,
            consuming,
            publishing_pool,
            consuming_pool,
            consumer_lifetime,
            reception: Reception::new(),
            publisher,
            management,
            publishing_task,
            connections,
            stop,
            ended,
        })
    }

    /// Resolves when one of the tasks behind it has ended: only after [`close`](Self::close), unless something is wrong.
    pub async fn ended(self) {
        self.ended.cancelled().await;
    }

    /// Watches from now on whether the broker keeps messages; while it would lose them, it is [not up](Self::is_up). To be called
    /// once, by who publishes orders that nobody else remembers. It ends when the broker is [closed](Self::close).
    pub fn watch_safety(&self) {
        let safety = DurabilityCheck {
            topology: self.topology.clone(),
            pool: self.consuming_pool.clone(),
            publisher: self.publisher.clone(),
            management: self.management.clone(),
            findings: DurabilityFindings::new(self.publisher.gate.clone()),
        };
        let watching = safety.run(self.stop.publishing.clone());
        self.publishing_task.spawn(telling(self.ended.clone(), watching));
    }

    /// Why the broker would lose orders, if it would.
    pub fn loses_orders(&self) -> Option<Arc<str>> {
        self.publisher.gate.loses()
    }

    /// What publishes; every one shares the same channel and bounds.
    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }

    /// Whether a publish right now would reach the broker and, going by the last ones, be confirmed.
    pub fn is_up(&self) -> bool {
        self.publisher.gate.is_up()
    }

    /// Resolves when [`is_up`](Self::is_up), which may be never.
    pub async fn until_up(&self) {
        self.publisher.gate.until_up().await;
    }

    /// Starts to consume, with at most `prefetch` unacknowledged messages here at a time (0 is taken as 1).
    ///
    /// Waits up to 3 s for a connection that is not there yet. Answers within 15 s in any case.
    pub async fn subscribe(&self, source: Source, prefetch: u16) -> Result<Subscription, QueueError> {
        let mut current = self.consuming.clone();
        let connected = timeout(CONNECT_TIMEOUT, current.wait_for(Option::is_some)).await;
        if !matches!(connected, Ok(Ok(_))) {
            return Err(QueueError::NotConnected);
        }
        drop(connected);
        let (topology, pool) = (self.topology.clone(), self.consuming_pool.clone());
        let opening = Opening { topology, pool, source, prefetch, lifetime: self.consumer_lifetime };
        let opened = Subscription::open(opening, &self.reception).await;
        opened.inspect_err(|error| match error {
            // Opening the connection logs why.
            QueueError::NotConnected => {}
            error => log_failed("shakerqueue consuming", error),
        })
    }

    /// The queue from which this process has been receiving nothing for too long, though it may be that
    /// nothing came. It makes sense where there is a subscription to each.
    pub fn silent(&self) -> Option<Source> {
        self.reception.silent()
    }

    /// Lets a message come among the orders again after `delay`, and waits until the broker has it safe.
    pub async fn postpone(&self, message: Postponed, delay: Duration) -> Result<(), PostponeError> {
        let Postponed { id, foreign, body, failures, place } = message;
        self.topology.declare_delay(&self.consuming_pool, delay).await?;
        let message = Message { id, foreign, body, failures, route: Route::OrdersAfter(delay) };
        Ok(Scope::current().with_trace(place).run(self.publisher.send(message, None)).await?)
    }

    /// How much waits in a queue. Fails at once while there is no connection, and declares a queue that is gone.
    pub async fn depth(&self, source: Source) -> Result<Depth, QueueError> {
        match self.declared_depth(source).await {
            // Most likely somebody deleted the queue, and each such answer costs a channel: put it back.
            Err(error @ (QueueError::Failed { .. } | QueueError::Refused { .. })) => {
                log_failed("shakerqueue consuming", &error);
                self.topology.declare(&self.consuming_pool).await?;
                self.declared_depth(source).await
            }
            depth => depth,
        }
    }

    /// Whether no order waits in any queue while workers take orders. Those that a worker holds are not seen. `delays` are the
    /// pauses before a retry, each of which has a queue.
    pub async fn is_drained(&self, delays: &[Duration]) -> Result<bool, QueueError> {
        // Queues that a policy removes are no proof, and to ask for one that is gone costs a channel.
        if !self.is_up() {
            return Ok(false);
        }
        for source in [Source::Orders, Source::Overrun] {
            let Depth { messages, consumers } = self.depth(source).await?;
            // Without consumers it may just have no leader, and then it is said to be empty as well.
            if messages > 0 || consumers == 0 {
                return Ok(false);
            }
        }
        for delay in delays {
            if self.topology.declare_delay(&self.consuming_pool, *delay).await? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn declared_depth(&self, source: Source) -> Result<Depth, QueueError> {
        let mut declare = QueueDeclareArguments::new(self.topology.queue(source));
        declare.passive(true);
        let channel = self.consuming_pool.get().await?;
        let declared = channel.request("look at the queue", CALL_TIMEOUT, async move |channel| {
            channel.queue_declare(declare).await
        });
        match declared.await? {
            Some((queue, messages, consumers)) if queue == self.topology.queue(source) => {
                Ok(Depth { messages, consumers })
            }
            // The answer to somebody who did not wait for it.
            _ => Err(QueueError::NotConnected),
        }
    }

    /// Publishes what was accepted, waits for its confirms for at most `within`, and closes the connections.
    ///
    /// Afterwards publishing answers [`PublishError::Unavailable`].
    pub async fn close(&self, within: Duration) {
        let started = Instant::now();
        self.publisher.gate.set(CircuitState::Closed);
        self.stop.publishing.cancel();
        self.publishing_task.close();
        if timeout(within, self.publishing_task.wait()).await.is_err() {
            tracing::warn!("closing the broker's connections before every message was confirmed");
        }
        self.stop.connections.cancel();
        self.connections.close();
        // Their own deadline is a second; what does not end within ours ends by itself.
        let left = within.saturating_sub(started.elapsed()).max(MIN_CLOSE_TIMEOUT);
        let _ = timeout(left, self.connections.wait()).await;
        self.publishing_pool.close();
        self.consuming_pool.close();
    }
}
