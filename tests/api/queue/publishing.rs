//! Confirms, limits, and publishers that give up.

use super::{Bar, is_pending, proxy, within};
use crate::support::WAIT_TIMEOUT;
use futures_util::future::join_all;
use shakerqueue::broker::{Broker, PublishError, Settings};
use std::collections::HashSet;
use std::time::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Limit on messages that wait or are unconfirmed.
const MAX_UNCONFIRMED_ORDERS: usize = 4096;

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
    subscription.settle([batch[0].tag]).await.expect("acknowledged");
    subscription.close().await;
    bar.until_depth(0, 0).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_concurrent_publishes_arrive_exactly_once() {
    let bar = Bar::open().await;
    let ids: HashSet<_> = (0..5000).map(|_| Uuid::now_v7()).collect();
    let named: HashSet<_> = ids.iter().map(|id| format!("\"{id}\"").into_bytes()).collect();
    let mut outcomes = JoinSet::new();
    for id in ids.clone() {
        let publisher = bar.broker.publisher();
        outcomes.spawn(async move {
            // More than the bound at once: the rest is told so, and comes again.
            loop {
                match publisher.publish(id, format!("\"{id}\"").into_bytes()).await {
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
        subscription.settle(batch.iter().map(|delivery| delivery.tag)).await.expect("acknowledged");
        consumed.extend(batch.into_iter().map(|delivery| delivery.body));
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
async fn too_many_waiting_messages_are_refused_at_once() {
    let proxy = proxy().await;
    let bar = Bar::behind(&proxy, WAIT_TIMEOUT).await;
    proxy.hold_answers();
    let publisher = bar.broker.publisher();
    let mut waiting: Vec<_> = (0..MAX_UNCONFIRMED_ORDERS)
        .map(|_| Box::pin(publisher.publish(Uuid::now_v7(), b"{}".to_vec())))
        .collect();
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
    let bar = Bar::behind(&proxy, WAIT_TIMEOUT).await;
    proxy.hold_answers();
    let publisher = bar.broker.publisher();
    let mut accepted: Vec<_> =
        (0..500).map(|_| Box::pin(publisher.publish(Uuid::now_v7(), b"{}".to_vec()))).collect();
    for publish in &mut accepted {
        assert!(is_pending(publish).await);
    }
    let mut closing = Box::pin(bar.broker.close(WAIT_TIMEOUT));
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
