//! The queue layer against a real broker: the one that `TEST_AMQP_URL` names.

use std::collections::HashSet;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::support::proxy::Proxy;
use amqprs::channel::{ExchangeDeleteArguments, QueueDeleteArguments};
use amqprs::connection::{Connection, OpenConnectionArguments};
use futures_util::future::join_all;
use percent_encoding::percent_decode_str;
use shakerqueue::queue::{Broker, Depth, PublishError, Settings, Subscription};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;
use uuid::Uuid;

/// No wait of these tests is longer. Far more than is needed, for the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// The bound of messages that wait or are unconfirmed.
const MOST_WAITING: usize = 4096;

fn test_url() -> Url {
    let url = std::env::var("TEST_AMQP_URL").expect("TEST_AMQP_URL must name a RabbitMQ for these tests");
    Url::parse(&url).expect("TEST_AMQP_URL must be a URL")
}

/// A bar with exchanges and queues of its own.
struct Bar {
    broker: Broker,
    prefix: String,
}

impl Bar {
    /// Connects straight to the broker, and allows the broker to be slow.
    async fn open() -> Self {
        let bar = Self::at(&test_url(), PATIENCE);
        bar.until_up().await;
        bar
    }

    /// Connects through a proxy.
    async fn behind(proxy: &Proxy, confirm_within: Duration) -> Self {
        let bar = Self::at(&at(proxy.address), confirm_within);
        bar.until_up().await;
        bar
    }

    fn at(url: &Url, confirm_within: Duration) -> Self {
        let prefix = format!("test-{}", Uuid::new_v4());
        let settings = Settings { confirm_within, ..Settings::new(url.as_str().into(), &prefix) };
        Self { broker: Broker::start(settings).expect("the URL is good"), prefix }
    }

    async fn until_up(&self) {
        within("the broker is up", self.broker.until_up()).await;
    }

    async fn publish(&self, body: &str) -> Result<(), PublishError> {
        within("publishing answers", self.broker.publisher().publish(Uuid::now_v7(), body.into())).await
    }

    async fn subscribe(&self) -> Subscription {
        within("subscribing answers", self.broker.subscribe(100)).await.expect("a subscription")
    }

    async fn until_depth(&self, messages: u32, consumers: u32) {
        let wanted = Depth { messages, consumers };
        eventually("the depth is as wanted", async || {
            self.broker.depth().await.is_ok_and(|depth| depth == wanted)
        })
        .await;
    }

    async fn delete_queue(&self) {
        let connection = connect().await;
        let channel = connection.open_channel(None).await.expect("a channel");
        let queue = QueueDeleteArguments::new(&format!("{}.orders", self.prefix));
        channel.queue_delete(queue).await.expect("the queue is deleted");
        connection.close().await.expect("closed");
    }

    /// Leaves nothing on the broker.
    async fn close(self) {
        self.broker.close(Duration::from_secs(5)).await;
        let connection = connect().await;
        let channel = connection.open_channel(None).await.expect("a channel");
        for queue in ["orders", "orders.dead"] {
            let queue = QueueDeleteArguments::new(&format!("{}.{queue}", self.prefix));
            channel.queue_delete(queue).await.expect("the queue is deleted");
        }
        for exchange in ["orders", "dead"] {
            let exchange = ExchangeDeleteArguments::new(&format!("{}.{exchange}", self.prefix));
            channel.exchange_delete(exchange).await.expect("the exchange is deleted");
        }
        connection.close().await.expect("closed");
    }
}

/// A connection without anything of ours.
async fn connect() -> Connection {
    let url = test_url();
    let decode = |text: &str| percent_decode_str(text).decode_utf8().expect("UTF-8").into_owned();
    let or_guest = |text: &str| if text.is_empty() { "guest".to_owned() } else { decode(text) };
    let host = url.host_str().unwrap_or("localhost");
    let port = url.port().unwrap_or(5672);
    let (user, password) = (or_guest(url.username()), or_guest(url.password().unwrap_or_default()));
    let mut arguments = OpenConnectionArguments::new(host, port, &user, &password);
    if url.path().len() > 1 {
        arguments.virtual_host(&decode(&url.path()[1..]));
    }
    within("connecting", Connection::open(&arguments)).await.expect("a connection")
}

/// The test URL, with another host and port.
fn at(address: SocketAddr) -> Url {
    let mut url = test_url();
    url.set_host(Some(&address.ip().to_string())).expect("a host");
    url.set_port(Some(address.port())).expect("a port");
    url
}

async fn proxy() -> Proxy {
    let url = test_url();
    Proxy::to(format!("{}:{}", url.host_str().unwrap_or("localhost"), url.port().unwrap_or(5672))).await
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// Polls `future` once.
async fn is_pending(future: &mut Pin<Box<impl Future>>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

/// Waits until `condition` holds.
async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    within(what, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmed_publish_arrives() {
    let bar = Bar::open().await;
    let id = Uuid::now_v7();
    bar.broker.publisher().publish(id, b"{\"recipe\":\"Margarita\"}".to_vec()).await.expect("confirmed");

    let mut subscription = bar.subscribe().await;
    let batch = within("a delivery", subscription.next_batch(10)).await.expect("a batch");
    assert_eq!(batch.len(), 1);
    assert_eq!(batch[0].message_id, Some(id.to_string()));
    assert_eq!(batch[0].body, b"{\"recipe\":\"Margarita\"}");
    assert!(!batch[0].redelivered);
    subscription.acknowledge_up_to(batch[0].tag).await.expect("acknowledged");
    subscription.close().await;
    bar.until_depth(0, 0).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_concurrent_publishes_arrive_exactly_once() {
    let bar = Bar::open().await;
    let ids: HashSet<_> = (0..5000).map(|_| Uuid::now_v7()).collect();
    let named: HashSet<_> = ids.iter().map(Uuid::to_string).collect();
    let mut outcomes = JoinSet::new();
    for id in ids.clone() {
        let publisher = bar.broker.publisher();
        outcomes.spawn(async move {
            // More than the bound at once: the rest is told so, and comes again.
            loop {
                match publisher.publish(id, b"{}".to_vec()).await {
                    Err(PublishError::Busy) => tokio::task::yield_now().await,
                    outcome => break outcome,
                }
            }
        });
    }

    let mut subscription = bar.subscribe().await;
    let mut consumed = Vec::new();
    while consumed.len() < ids.len() {
        let batch = within("deliveries", subscription.next_batch(50)).await.expect("a batch");
        assert!(batch.len() <= 50);
        subscription.acknowledge_up_to(batch[batch.len() - 1].tag).await.expect("acknowledged");
        consumed.extend(batch.into_iter().map(|delivery| delivery.message_id.expect("an id")));
    }
    let outcomes = within("confirms", outcomes.join_all()).await;
    assert!(outcomes.iter().all(Result::is_ok), "{:?}", outcomes.iter().find(|outcome| outcome.is_err()));
    assert_eq!(consumed.into_iter().collect::<HashSet<_>>(), named);
    // All were acknowledged and none is left, so that none came twice.
    subscription.close().await;
    bar.until_depth(0, 0).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_acknowledged_comes_again() {
    let bar = Bar::open().await;
    for body in ["first", "second"] {
        bar.publish(body).await.expect("confirmed");
    }
    let mut subscription = bar.subscribe().await;
    let mut received = Vec::new();
    while received.len() < 2 {
        received.extend(within("a delivery", subscription.next_batch(10)).await.expect("a batch"));
    }
    subscription.acknowledge_up_to(received[0].tag).await.expect("acknowledged");
    subscription.close().await;
    bar.until_depth(1, 0).await;

    // Dropping has the same effect as closing.
    let mut subscription = bar.subscribe().await;
    assert_eq!(within("a delivery", subscription.next_batch(10)).await.expect("a batch")[0].body, b"second");
    drop(subscription);
    bar.until_depth(1, 0).await;

    let mut subscription = bar.subscribe().await;
    let again = within("a delivery", subscription.next_batch(10)).await.expect("a batch");
    assert_eq!(again[0].body, b"second");
    assert!(again[0].redelivered);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_refuses_and_comes_back() {
    let bar = Bar::open().await;
    bar.delete_queue().await;
    assert_eq!(bar.publish("lost?").await, Err(PublishError::Refused));
    eventually("publishing works again", async || bar.publish("kept").await.is_ok()).await;
    bar.until_depth(1, 0).await;

    bar.delete_queue().await;
    assert_eq!(bar.broker.depth().await.expect("a depth"), Depth { messages: 0, consumers: 0 });
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_ends_the_subscription() {
    let bar = Bar::open().await;
    let mut subscription = bar.subscribe().await;
    bar.delete_queue().await;
    assert_eq!(within("the end", subscription.next_batch(10)).await, None);

    let mut subscription = bar.subscribe().await;
    bar.publish("again").await.expect("confirmed");
    assert!(within("a delivery", subscription.next_batch(10)).await.is_some());
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_url_is_refused_without_its_password() {
    for url in
        ["amqp://me:hunter2@host:notaport", "http://me:hunter2@host", "amqp://me:hunter2@host/a/b", "hunter2"]
    {
        let refusal = Broker::start(Settings::new(url.into(), "bar")).err().expect("refused");
        assert!(!format!("{refusal} {refusal:?}").contains("hunter2"), "{refusal}");
    }
    assert!(Broker::start(Settings::new("amqp://host".into(), "")).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_broker_is_reported_at_once() {
    // Nobody accepts at the first address; the second accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    for address in [free, silent.local_addr().expect("an address")] {
        let bar = Bar::at(&at(address), PATIENCE);
        let asked = Instant::now();
        assert_eq!(bar.publish("no").await, Err(PublishError::Unavailable));
        assert!(bar.broker.depth().await.is_err());
        assert!(asked.elapsed() < Duration::from_millis(100), "{:?}", asked.elapsed());
        assert!(!bar.broker.is_up());
        assert!(within("an answer", bar.broker.subscribe(1)).await.is_err());
        within("the end", bar.broker.close(Duration::from_secs(1))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_fails_what_waits_and_comes_back() {
    let proxy = proxy().await;
    let bar = Bar::behind(&proxy, PATIENCE).await;
    let mut subscription =
        within("subscribing answers", bar.broker.subscribe(1)).await.expect("a subscription");
    proxy.hold_answers();
    let waiting: Vec<_> = (0..100).map(|_| bar.broker.publisher()).collect();
    let waiting = tokio::spawn(join_all(
        waiting
            .into_iter()
            .map(|publisher| async move { publisher.publish(Uuid::now_v7(), b"{}".to_vec()).await }),
    ));
    let observer = Settings::new(test_url().as_str().into(), &bar.prefix);
    let observer = Broker::start(observer).expect("the URL is good");
    let sent = Depth { messages: 99, consumers: 1 };
    eventually("all are sent, one is delivered", async || {
        observer.depth().await.is_ok_and(|depth| depth == sent)
    })
    .await;

    proxy.cut();
    for outcome in within("the waiting ends", waiting).await.expect("no panic") {
        assert!(matches!(outcome, Err(PublishError::Unconfirmed | PublishError::Unavailable)), "{outcome:?}");
    }
    eventually("the loss is noticed", async || !bar.broker.is_up()).await;
    assert_eq!(bar.publish("no").await, Err(PublishError::Unavailable));
    assert_eq!(within("the subscription's end", subscription.next_batch(10)).await, None);

    proxy.restore();
    let restored = Instant::now();
    bar.until_up().await;
    assert!(restored.elapsed() < Duration::from_secs(5), "{:?}", restored.elapsed());
    bar.publish("yes").await.expect("confirmed");
    let mut subscription = bar.subscribe().await;
    assert!(within("a delivery", subscription.next_batch(10)).await.is_some());
    observer.close(Duration::from_secs(1)).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stops_confirming_counts_as_down_until_it_confirms() {
    let proxy = proxy().await;
    let bar = Bar::behind(&proxy, Duration::from_millis(600)).await;
    proxy.hold_answers();
    let asked = Instant::now();
    assert_eq!(bar.publish("perhaps").await, Err(PublishError::Unconfirmed));
    assert!(asked.elapsed() >= Duration::from_millis(600));
    assert!(!bar.broker.is_up());
    // One probe may pass; the next caller is told at once.
    let asked = Instant::now();
    let publisher = bar.broker.publisher();
    let outcomes = join_all((0..10).map(|_| publisher.publish(Uuid::now_v7(), b"{}".to_vec()))).await;
    let probes = outcomes.iter().filter(|outcome| **outcome == Err(PublishError::Unconfirmed)).count();
    assert!(probes <= 1, "{probes}");
    assert!(outcomes.iter().filter(|outcome| **outcome == Err(PublishError::Unavailable)).count() >= 9);
    assert!(asked.elapsed() < Duration::from_secs(2));

    proxy.restore();
    bar.until_up().await;
    bar.publish("yes").await.expect("confirmed");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_waiting_messages_are_refused_at_once() {
    let proxy = proxy().await;
    let bar = Bar::behind(&proxy, PATIENCE).await;
    proxy.hold_answers();
    let publisher = bar.broker.publisher();
    let mut waiting: Vec<_> =
        (0..MOST_WAITING).map(|_| Box::pin(publisher.publish(Uuid::now_v7(), b"{}".to_vec()))).collect();
    for publish in &mut waiting {
        assert!(is_pending(publish).await);
    }
    assert_eq!(bar.publish("one too many").await, Err(PublishError::Busy));
    proxy.restore();
    for outcome in within("confirms", join_all(waiting)).await {
        outcome.expect("confirmed");
    }
    bar.publish("room again").await.expect("confirmed");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_do_not_disturb_the_others() {
    let bar = Bar::open().await;
    let publisher = bar.broker.publisher();
    let mut kept = Vec::new();
    for number in 0..2000 {
        let mut publish = Box::pin(publisher.publish(Uuid::now_v7(), b"{}".to_vec()));
        assert!(is_pending(&mut publish).await);
        // Every other caller goes away, mostly before its message is sent.
        if number % 2 == 0 {
            kept.push(publish);
        }
    }
    for outcome in within("confirms", join_all(kept)).await {
        outcome.expect("confirmed");
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_waits_for_what_was_accepted() {
    let proxy = proxy().await;
    let bar = Bar::behind(&proxy, PATIENCE).await;
    proxy.hold_answers();
    let publisher = bar.broker.publisher();
    let mut accepted: Vec<_> =
        (0..500).map(|_| Box::pin(publisher.publish(Uuid::now_v7(), b"{}".to_vec()))).collect();
    for publish in &mut accepted {
        assert!(is_pending(publish).await);
    }
    let mut closing = Box::pin(bar.broker.close(PATIENCE));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut closing).await;
    assert!(early.is_err(), "closed before the confirms");
    assert_eq!(bar.publish("late").await, Err(PublishError::Unavailable));

    proxy.restore();
    let (outcomes, ()) = within("the end", async { tokio::join!(join_all(accepted), closing) }).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(bar.publish("late").await, Err(PublishError::Unavailable));
    assert!(!bar.broker.is_up());
    bar.close().await;
}
