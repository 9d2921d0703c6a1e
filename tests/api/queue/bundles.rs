//! Messages that are published in one batch while the broker is busy.

use super::{Bar, within};
use futures_util::future::join_all;
use shakerqueue::broker::Source;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Publishes several messages at once, and checks that each is confirmed.
async fn publish_together(bar: &Bar, count: usize) -> BTreeSet<Vec<u8>> {
    let texts: BTreeSet<_> = (0..count).map(|number| format!("\"{number}\"").into_bytes()).collect();
    let publishers: Vec<_> = texts.iter().map(|text| (bar.broker.publisher(), text.clone())).collect();
    let publishing = publishers
        .into_iter()
        .map(|(publisher, text)| async move { publisher.publish(Uuid::now_v7(), text).await });
    let outcomes = within("the confirms", join_all(publishing)).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_go_in_few_messages_and_come_out_one_by_one() {
    let bar = Bar::open().await;
    let texts = publish_together(&bar, 1000).await;
    let depth = within("the depth", bar.broker.depth(Source::Orders)).await.expect("a queue");
    assert!((8..500).contains(&depth.messages), "1,000 texts in {} messages", depth.messages);

    let mut subscription = bar.subscribe().await;
    let mut received = BTreeSet::new();
    while received.len() < texts.len() {
        let batch = within("deliveries", subscription.next_batch(7)).await.expect("a batch");
        assert!((1..=7).contains(&batch.len()));
        subscription.settle(batch.iter().map(|delivery| delivery.tag)).await.expect("acknowledged");
        for delivery in batch {
            assert!(received.insert(delivery.body.clone()), "{:?} came twice", delivery.body);
        }
    }
    assert_eq!(received, texts);
    subscription.close().await;
    bar.until_depth(0, 0).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_comes_again_until_all_that_went_in_it_is_settled() {
    let bar = Bar::open().await;
    publish_together(&bar, 300).await;
    let before = within("the depth", bar.broker.depth(Source::Orders)).await.expect("a queue").messages;
    assert!(before < 300);

    let mut subscription = bar.subscribe().await;
    let mut received = Vec::new();
    while received.len() < 300 {
        received.extend(within("deliveries", subscription.next_batch(300)).await.expect("a batch"));
    }
    // The last one is in the last message, with others.
    let open = received.pop().expect("deliveries");
    subscription.settle(received.iter().map(|delivery| delivery.tag)).await.expect("acknowledged");
    subscription.close().await;
    bar.until_depth(1, 0).await;

    let mut subscription = bar.subscribe().await;
    let again = within("deliveries", subscription.next_batch(300)).await.expect("a batch");
    assert!(again.iter().any(|delivery| delivery.body == open.body));
    assert!(again.iter().all(|delivery| delivery.redelivered));
    subscription.settle(again.iter().map(|delivery| delivery.tag)).await.expect("acknowledged");
    subscription.close().await;
    bar.until_depth(0, 0).await;
    bar.close().await;
}
