//! The broker that all tests share; each has a prefix of its own there.

use amqprs::{
    BasicProperties,
    channel::{
        BasicGetArguments, BasicPublishArguments, ConfirmSelectArguments, ExchangeDeleteArguments,
        QueueDeclareArguments, QueueDeleteArguments,
    },
    connection::{Connection, OpenConnectionArguments},
};
use shakerqueue::queue::{Broker, Settings, Source};
use std::time::Duration;
use tokio::time::timeout;
use url::Url;
use uuid::Uuid;

/// Where the broker is.
pub fn url() -> String {
    std::env::var("TEST_AMQP_URL").expect("TEST_AMQP_URL names a RabbitMQ server; `make test` provides one")
}

/// A prefix of a test's own. What was declared under it goes when [`Prefix::clear`] is called.
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

    /// Puts a message among the orders, whatever it is.
    pub async fn publish(&self, id: Uuid, body: &[u8]) {
        timeout(super::PATIENCE, self.broker.until_up()).await.expect("the broker is up");
        self.broker.publisher().publish(id, body.to_vec()).await.expect("a confirm");
    }

    /// How many messages no worker has yet.
    pub async fn waiting(&self) -> u32 {
        timeout(super::PATIENCE, self.broker.until_up()).await.expect("the broker is up");
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

/// How many messages of a queue nobody has; none if there is no such queue.
pub async fn depth(prefix: &str, queue: &str) -> Option<u32> {
    let connection = connect().await;
    let channel = connection.open_channel(None).await.expect("a channel");
    let mut look = QueueDeclareArguments::new(&format!("{prefix}.{queue}"));
    look.passive(true);
    let found = channel.queue_declare(look).await.ok().flatten();
    let _ = connection.close().await;
    found.map(|(_, messages, _)| messages)
}

/// Puts a message of this content type among the orders.
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

/// Takes the only message of a queue and publishes it, as it is, to an exchange.
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
