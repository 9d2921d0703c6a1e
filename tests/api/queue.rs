//! The broker client against a real broker, the one of `TEST_AMQP_URL`.

mod bundles;
mod consuming;
mod duplicates;
mod faults;
mod publishing;
mod replaced;

use crate::support::proxy::Proxy;
use crate::support::{WAIT_TIMEOUT, broker};
use shakerqueue::broker::{Broker, Depth, PublishError, Settings, Source, Subscription};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use url::Url;
use uuid::Uuid;

fn test_url() -> Url {
    Url::parse(&broker::url()).expect("TEST_AMQP_URL must be a URL")
}

/// A broker client with exchanges and queues of its own.
struct Bar {
    broker: Broker,
    prefix: String,
}

impl Bar {
    /// Connects to the broker directly, with timeouts for a slow broker.
    async fn open() -> Self {
        let bar = Self::at(&test_url(), WAIT_TIMEOUT);
        bar.until_up().await;
        bar
    }

    async fn behind(proxy: &Proxy, confirm_timeout: Duration) -> Self {
        let bar = Self::at(&at(proxy.address), confirm_timeout);
        bar.until_up().await;
        bar
    }

    fn at(url: &Url, confirm_timeout: Duration) -> Self {
        Self::with(Self::settings(url, confirm_timeout))
    }

    fn settings(url: &Url, confirm_timeout: Duration) -> Settings {
        let prefix = format!("test-{}", Uuid::new_v4());
        Settings { confirm_timeout, ..Settings::new(url.as_str().into(), prefix) }
    }

    fn with(settings: Settings) -> Self {
        let prefix = settings.prefix.clone();
        Self { broker: Broker::start(settings).expect("the URL is good"), prefix }
    }

    async fn until_up(&self) {
        within("the broker is up", self.broker.until_up()).await;
    }

    async fn publish(&self, body: &str) -> Result<(), PublishError> {
        within("publishing answers", self.broker.publisher().publish(Uuid::now_v7(), body.into())).await
    }

    async fn subscribe(&self) -> Subscription {
        within("subscribing answers", self.broker.subscribe(Source::Orders, 100))
            .await
            .expect("a subscription")
    }

    async fn until_depth(&self, messages: u32, consumers: u32) {
        let wanted = Depth { messages, consumers };
        eventually("the depth is as wanted", async || {
            self.broker.depth(Source::Orders).await.is_ok_and(|depth| depth == wanted)
        })
        .await;
    }

    async fn delete_queue(&self) {
        broker::delete_queues(&self.prefix, &["orders"]).await;
    }

    /// Removes its exchanges and queues.
    async fn close(self) {
        self.broker.close(Duration::from_secs(5)).await;
        broker::delete_all(&self.prefix).await;
    }
}

/// Returns the test URL with another host and port.
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
    tokio::time::timeout(WAIT_TIMEOUT, future)
        .await
        .unwrap_or_else(|_| panic!("timeout after {} s: {what}", WAIT_TIMEOUT.as_secs()))
}

/// Polls `future` once: true if it is not ready.
async fn is_pending(future: &mut Pin<Box<impl Future>>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    crate::support::eventually(what, async || condition().await.then_some(())).await;
}
