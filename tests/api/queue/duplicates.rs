//! Messages whose ids were used before are not published.

use super::{Bar, proxy, within};
use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use shakerqueue::broker::{DuplicateCheck, PublishError, Source};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// A store that knows some ids, and answers once it is released.
struct KnownIds {
    ids: BTreeSet<Uuid>,
    asked: Mutex<Vec<Uuid>>,
    calls: AtomicUsize,
    answers: Arc<Semaphore>,
}

impl KnownIds {
    fn new(ids: BTreeSet<Uuid>, answers: usize) -> Arc<Self> {
        let answers = Arc::new(Semaphore::new(answers));
        Arc::new(Self { ids, asked: Mutex::default(), calls: AtomicUsize::new(0), answers })
    }
}

impl DuplicateCheck for KnownIds {
    fn used(&self, ids: Vec<Uuid>) -> BoxFuture<'static, Vec<Uuid>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.asked.lock().expect("no panic").extend(&ids);
        let used = ids.into_iter().filter(|id| self.ids.contains(id)).collect();
        let answers = Arc::clone(&self.answers);
        async move {
            answers.acquire().await.expect("open").forget();
            used
        }
        .boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_those_that_are_used_are_left_out() {
    let bar = Bar::open().await;
    let messages: Vec<_> = (0..300).map(|number| (Uuid::now_v7(), number)).collect();
    let known = KnownIds::new(
        messages.iter().filter(|(_, number)| number % 3 == 0).map(|(id, _)| *id).collect(),
        Semaphore::MAX_PERMITS,
    );
    let publishing = messages.iter().map(|(id, number)| {
        let (publisher, check) = (bar.broker.publisher(), Arc::clone(&known));
        async move {
            let body = number.to_string().into_bytes();
            match number % 3 {
                // Nobody asks about these, though they go with the others.
                1 => publisher.publish(*id, body).await,
                _ => publisher.publish_unless_used(*id, body, check).await,
            }
        }
    });
    let outcomes = within("the outcomes", join_all(publishing)).await;
    for ((_, number), outcome) in messages.iter().zip(outcomes) {
        let expected = if number % 3 == 0 { Err(PublishError::Duplicate) } else { Ok(()) };
        assert_eq!(outcome, expected, "{number}");
    }
    let asked: BTreeSet<_> = known.asked.lock().expect("no panic").iter().copied().collect();
    let of_two_thirds = messages.iter().filter(|(_, number)| number % 3 != 1).map(|(id, _)| *id).collect();
    assert_eq!(asked, of_two_thirds);
    let calls = known.calls.load(Ordering::Relaxed);
    assert!(calls < 100, "{calls} questions about 200 messages");

    let mut subscription = bar.subscribe().await;
    let mut received = BTreeSet::new();
    while received.len() < 200 {
        let batch = within("deliveries", subscription.next_batch(300)).await.expect("a batch");
        subscription.settle(batch.iter().map(|delivery| delivery.tag)).await.expect("acknowledged");
        received.extend(batch.into_iter().map(|delivery| String::from_utf8(delivery.body).expect("text")));
    }
    let others = messages.iter().filter(|(_, number)| number % 3 != 0).map(|(_, number)| number.to_string());
    assert_eq!(received, others.collect());
    subscription.close().await;
    bar.until_depth(0, 0).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_published_while_one_is_asked_about() {
    let bar = Bar::open().await;
    let known = KnownIds::new(BTreeSet::new(), 0);
    let publisher = bar.broker.publisher();
    let asked_about = publisher.publish_unless_used(Uuid::now_v7(), b"1".into(), known.clone());
    tokio::pin!(asked_about);
    let others = async {
        super::eventually("the question", async || known.calls.load(Ordering::Relaxed) == 1).await;
        for _ in 0..10 {
            bar.publish("2").await.expect("published");
        }
    };
    tokio::select! {
        biased;
        outcome = &mut asked_about => panic!("nobody answered, and yet {outcome:?}"),
        () = others => {}
    }
    assert_eq!(within("the depth", bar.broker.depth(Source::Orders)).await.expect("a queue").messages, 10);
    known.answers.add_permits(1);
    assert_eq!(within("the outcome", asked_about).await, Ok(()));
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_about_when_the_connection_is_lost_was_never_sent() {
    let proxy = proxy().await;
    let bar = Bar::behind(&proxy, Duration::from_secs(5)).await;
    let known = KnownIds::new(BTreeSet::new(), 0);
    let publisher = bar.broker.publisher();
    let asked_about = publisher.publish_unless_used(Uuid::now_v7(), b"1".into(), known.clone());
    tokio::pin!(asked_about);
    tokio::select! {
        outcome = &mut asked_about => panic!("nobody answered, and yet {outcome:?}"),
        () = super::eventually("the question", async || known.calls.load(Ordering::Relaxed) == 1) => {}
    }
    proxy.cut();
    assert_eq!(within("the outcome", asked_about).await, Err(PublishError::Unavailable));
    bar.close().await;
}
