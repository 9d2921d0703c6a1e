//! Brokers that are down or silent, or have lost a queue.

use super::{Bar, at, eventually, proxy, test_url, within};
use crate::support::WAIT_TIMEOUT;
use futures_util::future::join_all;
use shakerqueue::broker::{Broker, Depth, PublishError, Settings, Source};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_refuses_and_comes_back() {
    let bar = Bar::open().await;
    bar.delete_queue().await;
    assert_eq!(bar.publish("lost?").await, Err(PublishError::NoQueue));
    eventually("publishing works again", async || bar.publish("kept").await.is_ok()).await;
    bar.until_depth(1, 0).await;

    bar.delete_queue().await;
    assert_eq!(bar.broker.depth(Source::Orders).await.expect("a depth"), Depth { messages: 0, consumers: 0 });
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_broker_is_reported_at_once() {
    // Nobody accepts at the first address; the second accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    for address in [free, silent.local_addr().expect("an address")] {
        let bar = Bar::at(&at(address), WAIT_TIMEOUT);
        let asked = Instant::now();
        assert_eq!(bar.publish("no").await, Err(PublishError::Unavailable));
        assert!(bar.broker.depth(Source::Orders).await.is_err());
        assert!(asked.elapsed() < Duration::from_millis(100), "{:?}", asked.elapsed());
        assert!(!bar.broker.is_up());
        assert!(within("an answer", bar.broker.subscribe(Source::Orders, 1)).await.is_err());
        within("the end", bar.broker.close(Duration::from_secs(1))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_fails_what_waits_and_comes_back() {
    let proxy = proxy().await;
    let bar = Bar::behind(&proxy, WAIT_TIMEOUT).await;
    let mut subscription =
        within("subscribing answers", bar.broker.subscribe(Source::Orders, 1)).await.expect("a subscription");
    proxy.hold_answers();
    let waiting: Vec<_> = (0..100).map(|_| bar.broker.publisher()).collect();
    let waiting = tokio::spawn(join_all(
        waiting
            .into_iter()
            // Too large to go together.
            .map(|publisher| async move { publisher.publish(Uuid::now_v7(), vec![b' '; 40_000]).await }),
    ));
    let observer = Settings::new(test_url().as_str().into(), &bar.prefix);
    let observer = Broker::start(observer).expect("the URL is good");
    let sent = Depth { messages: 99, consumers: 1 };
    eventually("all are sent, one is delivered", async || {
        observer.depth(Source::Orders).await.is_ok_and(|depth| depth == sent)
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
