//! Deliveries to a worker, acknowledged or not.

use super::{Bar, within};

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
    subscription.settle([received[0].tag]).await.expect("acknowledged");
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
