//! Queues that are deleted and declared again while a worker receives from them, without notice to its consumer.

use super::{Bar, eventually, test_url, within};
use crate::support::{WAIT_TIMEOUT, broker};
use shakerqueue::broker::{Settings, Subscription};
use std::{collections::HashSet, time::Duration};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// Receives messages as a worker does, up to this one.
async fn take_until(bar: &Bar, subscription: &mut Option<Subscription>, wanted: &str) {
    within(wanted, async {
        loop {
            if subscription.is_none() {
                *subscription = Some(bar.subscribe().await);
            }
            let taking = subscription.as_mut().expect("just subscribed");
            let Some(batch) = taking.next_batch(10).await else {
                *subscription = None;
                continue;
            };
            let is_here = batch.iter().any(|delivery| delivery.body == wanted.as_bytes());
            taking.settle(batch.into_iter().map(|delivery| delivery.tag)).await.expect("acknowledged");
            if is_here {
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_hears_what_comes_after_its_queue_was_replaced() {
    let bar = Bar::open().await;
    let mut subscription = None;
    for round in 0..5 {
        // A consumer that got messages of the old queue takes those of the new one for the same, and drops
        // them.
        for number in 0..20 {
            bar.publish(&format!("{round}.{number}")).await.expect("confirmed");
        }
        take_until(&bar, &mut subscription, &format!("{round}.19")).await;
        broker::replace_orders(&bar.prefix).await;
        eventually("publishing works again", async || bar.publish("next").await.is_ok()).await;
        take_until(&bar, &mut subscription, "next").await;
    }
    // Nothing is left with a consumer that is gone.
    drop(subscription);
    bar.until_depth(0, 0).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_goes_on_from_one_consumer_to_the_next_without_losing_a_message() {
    let lifetime = Duration::from_millis(50);
    let bar = Bar::with(Settings { consumer_lifetime: lifetime, ..Bar::settings(&test_url(), WAIT_TIMEOUT) });
    bar.until_up().await;
    let mut subscription = bar.subscribe().await;
    let publisher = bar.broker.publisher();
    let publishing = tokio::spawn(async move {
        let until = Instant::now() + 40 * lifetime;
        let mut sent = 0_usize;
        while Instant::now() < until {
            let body = sent.to_string().into_bytes();
            publisher.publish(Uuid::now_v7(), body).await.expect("confirmed");
            sent += 1;
        }
        sent
    });
    let (mut seen, mut again, mut count) = (HashSet::new(), 0, None);
    let mut publishing = Some(publishing);
    within("all of them", async {
        while count != Some(seen.len()) {
            if let Some(done) = publishing.take_if(|publishing| publishing.is_finished()) {
                count = Some(done.await.expect("no panic"));
            }
            let Ok(batch) = timeout(lifetime, subscription.next_batch(10)).await else { continue };
            let batch = batch.expect("it goes on");
            again += batch.iter().filter(|delivery| !seen.insert(delivery.body.clone())).count();
            subscription.settle(batch.into_iter().map(|delivery| delivery.tag)).await.expect("acknowledged");
        }
    })
    .await;
    // What was on its way to a consumer that was just cancelled.
    assert!(again * 10 < seen.len(), "{again} of {} came again", seen.len());
    subscription.close().await;
    bar.until_depth(0, 0).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_consumer_got_can_be_settled_after_another_one_took_its_place() {
    let lifetime = Duration::from_millis(50);
    let bar = Bar::with(Settings { consumer_lifetime: lifetime, ..Bar::settings(&test_url(), WAIT_TIMEOUT) });
    bar.until_up().await;
    let mut subscription = bar.subscribe().await;
    bar.publish("first").await.expect("confirmed");
    let first = within("a delivery", subscription.next_batch(10)).await.expect("a batch");
    // It waits for more, for longer than a consumer is relied on.
    assert!(timeout(4 * lifetime, subscription.next_batch(10)).await.is_err());
    bar.publish("second").await.expect("confirmed");
    let second = within("a delivery", subscription.next_batch(10)).await.expect("a batch");
    assert_eq!((&first[0].body[..], &second[0].body[..]), (&b"first"[..], &b"second"[..]));
    assert!(!second[0].redelivered, "the first is held, and does not come again");
    subscription.settle([second[0].tag, first[0].tag]).await.expect("acknowledged");
    subscription.close().await;
    bar.until_depth(0, 0).await;
    bar.close().await;
}
