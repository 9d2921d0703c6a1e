//! The broker as the rest of the program sees it.

use super::{
    amqp_call::{CALL_TIMEOUT, log_failed},
    channel_pool::ChannelPool,
    connection::{Current, Purpose, supervise},
    consumer::{Opening, Subscription, reception::Reception},
    durability_check::{DurabilityCheck, DurabilityFindings, management_api::Management},
    error::{PostponeError, QueueError},
    publisher::{
        Publisher,
        circuit_breaker::{CircuitBreaker, CircuitState},
        outgoing::{Message, Route},
        publish_task::PublishTask,
    },
    retry_headers::RetryInfo,
    topology::{Source, Topology},
    url::{self, BrokerUrl, BrokerUrlError},
};
use crate::telemetry::{Scope, metrics::MetricLabel, traces::TraceContext};
use amqprs::channel::QueueDeclareArguments;
use secrecy::{ExposeSecret, SecretString};
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

const CONFIRM_TIMEOUT: Duration = Duration::from_millis(600);
/// Longest wait of a new subscription for a connection that is being opened.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time that a consumer is relied on: together with everything else well below 10 s.
const CONSUMER_LIFETIME: Duration = Duration::from_secs(5);
/// Time for the connections to close if the confirms took all of the timeout.
const MIN_CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub struct Settings {
    /// `amqp://USER:PASSWORD@HOST:PORT/VHOST`
    pub url: SecretString,
    /// Begins the names of exchanges and queues, so that several systems can share a broker.
    pub prefix: String,
    pub confirm_timeout: Duration,
    /// A consumer is replaced after this time.
    pub consumer_lifetime: Duration,
    /// Address of the management API, if it is not at port 15672 of the same host.
    pub management_url: Option<SecretString>,
}

impl Settings {
    pub fn new(url: SecretString, prefix: impl Into<String>) -> Self {
        Self {
            url,
            prefix: prefix.into(),
            confirm_timeout: CONFIRM_TIMEOUT,
            consumer_lifetime: CONSUMER_LIFETIME,
            management_url: None,
        }
    }
}

/// A message that is to be delivered again later.
pub struct Postponed {
    pub id: Uuid,
    /// The content type, if it is not one of this program's.
    pub foreign: Option<String>,
    pub body: Vec<u8>,
    pub failures: RetryInfo,
    pub trace: TraceContext,
}

/// The length of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that were not delivered yet.
    pub messages: u32,
    pub consumers: u32,
}

/// A process's link to the broker. Clones are cheap; the connections close when the last clone and publisher are dropped.
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
    stop_publishing: CancellationToken,
    stop_connections: CancellationToken,
    /// Set as soon as one of the tasks has ended, for whatever reason.
    ended: CancellationToken,
}

/// Runs a task and sets `ended` when it is gone, also by a panic.
async fn telling(ended: CancellationToken, task: impl Future<Output = ()>) {
    let _guard = ended.drop_guard();
    task.await;
}

impl Broker {
    /// Checks the settings and starts to connect. The broker need not be up.
    ///
    /// All tasks run on the current runtime, whichever thread later uses the broker.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(settings: Settings) -> Result<Self, BrokerUrlError> {
        let Settings { url, prefix, confirm_timeout, consumer_lifetime, management_url } = settings;
        let address = BrokerUrl::parse(url.expose_secret())?;
        url::check_prefix(&prefix)?;
        let management_url =
            management_url.as_ref().map(ExposeSecret::expose_secret).filter(|url| !url.is_empty());
        let management = Management::new(management_url, &address, &prefix)?;
        let runtime = Handle::current();
        let (stop_publishing, stop_connections) = (CancellationToken::new(), CancellationToken::new());
        let ended = CancellationToken::new();
        let connections = TaskTracker::new();
        let connect = |purpose: Purpose| {
            let (sender, current) = watch::channel(None);
            let arguments = address.named(&format!("shakerqueue {}", purpose.label()));
            let supervised = supervise(arguments, purpose, runtime.clone(), sender, stop_connections.clone());
            connections.spawn_on(telling(ended.clone(), supervised), &runtime);
            (ChannelPool::new(current.clone()), current)
        };
        let (publishing_pool, publishing) = connect(Purpose::Publishing);
        let (consuming_pool, consuming) = connect(Purpose::Consuming);

        let topology = Topology::new(&prefix);
        let breaker = Arc::new(CircuitBreaker::new());
        let publishing = PublishTask {
            topology: topology.clone(),
            pool: publishing_pool.clone(),
            current: publishing,
            breaker: breaker.clone(),
            confirm_timeout,
        };
        // Dropped in this order: publishing ends before the connections do.
        let stop = [stop_publishing.clone().drop_guard(), stop_connections.clone().drop_guard()];
        let (publisher, messages) = Publisher::new(breaker, Arc::new(stop));
        let publishing_task = TaskTracker::new();
        let publishing = publishing.run(messages, stop_publishing.clone());
        publishing_task.spawn_on(telling(ended.clone(), publishing), &runtime);
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
            stop_publishing,
            stop_connections,
            ended,
        })
    }

    /// Resolves when one of the broker's tasks has ended: only after [`close`](Self::close), unless something is wrong.
    pub async fn ended(self) {
        self.ended.cancelled().await;
    }

    /// Checks from now on whether the broker keeps messages. While it would lose them, it is [not up](Self::is_up). To be called
    /// once, by the publisher of orders that nobody else remembers. The check ends when the broker is [closed](Self::close).
    pub fn watch_safety(&self) {
        let check = DurabilityCheck {
            topology: self.topology.clone(),
            pool: self.consuming_pool.clone(),
            publisher: self.publisher.clone(),
            management: self.management.clone(),
            findings: DurabilityFindings::new(self.publisher.breaker.clone()),
        };
        let checking = check.run(self.stop_publishing.clone());
        self.publishing_task.spawn(telling(self.ended.clone(), checking));
    }

    /// Returns the reason why the broker would lose orders, if it would.
    pub fn loses_orders(&self) -> Option<Arc<str>> {
        self.publisher.breaker.loses()
    }

    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }

    /// Returns whether a message that is published now would reach the broker and, as the last ones were, be confirmed.
    pub fn is_up(&self) -> bool {
        self.publisher.breaker.is_up()
    }

    /// Resolves when [`is_up`](Self::is_up), which may be never.
    pub async fn until_up(&self) {
        self.publisher.breaker.until_up().await;
    }

    /// Starts to consume, with at most `prefetch` unacknowledged messages at a time (0 counts as 1).
    ///
    /// Waits up to 3 s for a connection that is being opened. Answers within 15 s in any case.
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
            // The connection's task logs the reason.
            QueueError::NotConnected => {}
            error => log_failed("shakerqueue consuming", error),
        })
    }

    /// Returns the queue from which this process has received nothing for too long, though perhaps nothing was there. Meaningful
    /// only while there is a subscription to each queue.
    pub fn silent(&self) -> Option<Source> {
        self.reception.silent()
    }

    /// Publishes a message that is delivered among the orders after `delay`, and waits until it is confirmed.
    pub async fn postpone(&self, message: Postponed, delay: Duration) -> Result<(), PostponeError> {
        let Postponed { id, foreign, body, failures, trace } = message;
        self.topology.declare_delay(&self.consuming_pool, delay).await?;
        let message = Message { id, foreign, body, failures, route: Route::OrdersAfter(delay) };
        Ok(Scope::current().with_trace(trace).run(self.publisher.send(message, None)).await?)
    }

    /// Returns the length of a queue. Fails at once while there is no connection, and declares a queue that is gone.
    pub async fn depth(&self, source: Source) -> Result<Depth, QueueError> {
        match self.declared_depth(source).await {
            // Most likely somebody deleted the queue. It is declared again, because each such answer costs a channel.
            Err(error @ (QueueError::Failed { .. } | QueueError::Refused { .. })) => {
                log_failed("shakerqueue consuming", &error);
                self.topology.declare(&self.consuming_pool).await?;
                self.declared_depth(source).await
            }
            depth => depth,
        }
    }

    /// Returns whether no order waits in any queue while workers consume. Orders in flight are not seen. `delays` are those before
    /// a retry, each of which has a queue.
    pub async fn is_drained(&self, delays: &[Duration]) -> Result<bool, QueueError> {
        // Queues that a policy deletes prove nothing, and asking for a queue that is gone costs a channel.
        if !self.is_up() {
            return Ok(false);
        }
        for source in [Source::Orders, Source::Overrun] {
            let Depth { messages, consumers } = self.depth(source).await?;
            // A queue without consumers may have no leader, and then it reports no messages either.
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
            // The answer to a request that was given up.
            _ => Err(QueueError::NotConnected),
        }
    }

    /// Publishes the accepted messages, waits for their confirms until `limit`, and closes the connections.
    ///
    /// Afterwards publishing fails with [`PublishError::Unavailable`](super::PublishError::Unavailable).
    pub async fn close(&self, limit: Duration) {
        let started = Instant::now();
        self.publisher.breaker.set(CircuitState::Closed);
        self.stop_publishing.cancel();
        self.publishing_task.close();
        if timeout(limit, self.publishing_task.wait()).await.is_err() {
            tracing::warn!("closing the broker's connections before every message was confirmed");
        }
        self.stop_connections.cancel();
        self.connections.close();
        // They end within a second of their own accord, also if this wait is shorter.
        let left = limit.saturating_sub(started.elapsed()).max(MIN_CLOSE_TIMEOUT);
        let _ = timeout(left, self.connections.wait()).await;
        self.publishing_pool.close();
        self.consuming_pool.close();
    }
}
