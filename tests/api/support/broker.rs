//! The broker that all tests share. Each test has a prefix of its own.

use amqprs::{
    BasicProperties, FieldTable, FieldValue,
    channel::{
        BasicGetArguments, BasicPublishArguments, Channel, ConfirmSelectArguments, ExchangeDeleteArguments,
        QueueBindArguments, QueueDeclareArguments, QueueDeleteArguments,
    },
    connection::{Connection, OpenConnectionArguments},
};
use shakerqueue::broker::{Broker, Settings, Source};
use std::time::Duration;
use tokio::time::timeout;
use url::Url;
use uuid::Uuid;

/// The product's delivery limit of the queue of orders.
const DELIVERY_LIMIT: i64 = 1000;

pub fn url() -> String {
    std::env::var("TEST_AMQP_URL").expect("TEST_AMQP_URL names a RabbitMQ server; `make test` provides one")
}

/// The prefix of a test. [`Prefix::clear`] deletes what was declared under it.
pub struct Prefix {
    pub name: String,
    broker: Broker,
}

impl Prefix {
    pub fn new() -> Self {
        let name = format!("test-{}", Uuid::new_v4().simple());
        let broker = Broker::start(Settings::new(url().into(), name.clone())).expect("a good URL");
        Self { name, broker }
    }

    /// Waits until all queues are declared.
    pub async fn until_up(&self) {
        timeout(super::WAIT_TIMEOUT, self.broker.until_up()).await.expect("the broker is up");
    }

    /// Publishes a message to the queue of orders.
    pub async fn publish(&self, id: Uuid, body: &[u8]) {
        self.until_up().await;
        self.broker.publisher().publish(id, body.to_vec()).await.expect("a confirm");
    }

    /// Counts the ready messages of the queue of orders.
    pub async fn waiting(&self) -> u32 {
        self.until_up().await;
        self.broker.depth(Source::Orders).await.expect("the queue is there").messages
    }

    /// Deletes what was declared under the prefix.
    pub async fn clear(self) {
        self.broker.close(Duration::from_secs(5)).await;
        delete_all(&self.name).await;
    }
}

/// Deletes what was declared under a prefix.
pub async fn delete_all(prefix: &str) {
    delete_queues(prefix, &["orders", "orders.overrun", "orders.after.1000ms"]).await;
    let connection = connect().await;
    let channel = connection.open_channel(None).await.expect("a channel");
    for exchange in ["orders", "dead"] {
        let exchange = ExchangeDeleteArguments::new(&format!("{prefix}.{exchange}"));
        channel.exchange_delete(exchange).await.expect("the exchange is deleted");
    }
    let _ = connection.close().await;
}

/// Counts the ready messages of a queue. Returns `None` if there is no such queue.
pub async fn depth(prefix: &str, queue: &str) -> Option<u32> {
    let connection = connect().await;
    let channel = connection.open_channel(None).await.expect("a channel");
    let mut look = QueueDeclareArguments::new(&format!("{prefix}.{queue}"));
    look.passive(true);
    let found = channel.queue_declare(look).await.ok().flatten();
    let _ = connection.close().await;
    found.map(|(_, messages, _)| messages)
}

/// Publishes a message of this content type to the queue of orders.
pub async fn publish_as(prefix: &str, id: Uuid, kind: &str, body: Vec<u8>) {
    let connection = connect().await;
    let channel = connection.open_channel(None).await.expect("a channel");
    let mut properties = BasicProperties::default();
    properties.with_content_type(kind).with_message_id(&id.to_string()).with_delivery_mode(2);
    let to = BasicPublishArguments::new(&format!("{prefix}.orders"), &format!("{prefix}.orders"));
    channel.basic_publish(properties, body, to).await.expect("it is sent");
    channel.close().await.expect("a closed channel");
    let _ = connection.close().await;
}

/// Moves the only message of a queue, unchanged, to an exchange.
pub async fn move_to_exchange(prefix: &str, queue: &str, exchange: &str) {
    let connection = connect().await;
    let channel = connection.open_channel(None).await.expect("a channel");
    let get = BasicGetArguments::new(&format!("{prefix}.{queue}")).no_ack(true).finish();
    let (_, properties, body) = channel.basic_get(get).await.expect("an answer").expect("a message");
    let to = BasicPublishArguments::new(&format!("{prefix}.{exchange}"), "");
    channel.confirm_select(ConfirmSelectArguments::default()).await.expect("confirms");
    channel.basic_publish(properties, body, to).await.expect("it is sent");
    // Closing waits for what was sent before.
    channel.close().await.expect("a closed channel");
    let _ = connection.close().await;
}

/// Deletes queues under a prefix.
pub async fn delete_queues(prefix: &str, queues: &[&str]) {
    let connection = connect().await;
    let channel = connection.open_channel(None).await.expect("a channel");
    for queue in queues {
        let queue = QueueDeleteArguments::new(&format!("{prefix}.{queue}"));
        channel.queue_delete(queue).await.expect("the queue is deleted");
    }
    let _ = connection.close().await;
}

/// Deletes the queue of orders under a prefix, and at once declares it again with the same arguments and binding.
pub async fn replace_orders(prefix: &str) {
    let name = format!("{prefix}.orders");
    let connection = connect().await;
    let channel = connection.open_channel(None).await.expect("a channel");
    channel.queue_delete(QueueDeleteArguments::new(&name)).await.expect("the queue is deleted");
    declare_orders(&channel, &name, &format!("{prefix}.dead"), DELIVERY_LIMIT).await;
    let bind = QueueBindArguments::new(&name, &name, &name);
    channel.queue_bind(bind).await.expect("the queue is bound");
    let _ = connection.close().await;
}

/// Declares the queue of orders under a prefix with an argument that differs from the product's.
pub async fn declare_wrong_orders(prefix: &str) {
    let connection = connect().await;
    let channel = connection.open_channel(None).await.expect("a channel");
    declare_orders(&channel, &format!("{prefix}.orders"), &format!("{prefix}.dead"), 7).await;
    let _ = connection.close().await;
}

async fn declare_orders(channel: &Channel, name: &str, dead: &str, delivery_limit: i64) {
    let mut arguments = FieldTable::new();
    let mut insert = |key: &str, value| arguments.insert(key.try_into().expect("a short key"), value);
    insert("x-queue-type", "quorum".into());
    insert("x-delivery-limit", FieldValue::l(delivery_limit));
    insert("x-dead-letter-exchange", dead.into());
    insert("x-dead-letter-strategy", "at-least-once".into());
    insert("x-overflow", "reject-publish".into());
    let declare = QueueDeclareArguments::durable_client_named(name).arguments(arguments).finish();
    channel.queue_declare(declare).await.expect("the queue is declared");
}

async fn connect() -> Connection {
    let url = Url::parse(&url()).expect("TEST_AMQP_URL is a URL");
    let word = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut arguments = OpenConnectionArguments::new(
        url.host_str().expect("a host"),
        url.port().unwrap_or(5672),
        &word(url.username()),
        &word(url.password().unwrap_or("guest")),
    );
    let vhost = word(url.path().trim_start_matches('/'));
    if !vhost.is_empty() {
        arguments.virtual_host(&vhost);
    }
    Connection::open(&arguments).await.expect("the broker answers")
}
