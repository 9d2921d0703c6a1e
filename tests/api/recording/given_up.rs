//! Orders given up before their transaction begins are certainly not recorded.

use super::*;
use futures_util::future::join_all;
use rstest::rstest;
use shakerqueue::services::orders::recorder::Recorder;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

/// Takes the only connection of a store until it is released.
async fn hold(store: Store, is_held: Arc<Notify>, released: Arc<Semaphore>) {
    let holding = store.read(async move |_| {
        is_held.notify_one();
        drop(released.acquire().await);
        Ok(())
    });
    holding.await.unwrap();
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_up_while_its_batch_waits_is_left_out_of_it(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let fixture = StoreFixture::new(database).await;
    let store = fixture.database.store_of(1);
    let (is_held, released) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let holding = tokio::spawn(hold(store.clone(), Arc::clone(&is_held), Arc::clone(&released)));
    is_held.notified().await;

    let (recorder, writer) = Recorder::start(store);
    let orders = fixture.orders(20);
    // One of those that wait is there already.
    assert_eq!(fixture.record(&orders[3..4]).await, [RECORDED]);
    let soon = Instant::now() + Duration::from_millis(200);
    let late = Instant::now() + Duration::from_secs(20);
    let given_up = AtomicUsize::new(0);
    let outcomes = orders.iter().cloned().enumerate().map(async |(at, order)| {
        if at % 2 == 1 {
            return timeless(recorder.record(order, late).await);
        }
        let outcome = recorder.record(order, soon).await;
        if given_up.fetch_add(1, Ordering::Relaxed) == 9 {
            released.add_permits(1);
        }
        outcome
    });
    let outcomes = join_all(outcomes).await;
    let expected = |at: usize| match at {
        3 => RecordOutcome::AlreadyThere,
        at if at % 2 == 0 => RecordOutcome::Retryable,
        _ => RECORDED,
    };
    assert_eq!(outcomes, (0..20).map(expected).collect::<Vec<_>>());
    holding.await.unwrap();
    drop(recorder);
    writer.await.unwrap();
    // What was given up was not recorded all the same.
    let again = |at: usize| if at.is_multiple_of(2) { RECORDED } else { RecordOutcome::AlreadyThere };
    assert_eq!(fixture.record(&orders).await, (0..20).map(again).collect::<Vec<_>>());
}
