//! An order has a row or an open dead letter, even if both are written at once.

use super::*;
use crate::support::eventually;
use rstest::rstest;
use shakerqueue::{
    domain::{
        dead_letter::{DeadLetter, Resolution},
        ids::DeadLetterId,
    },
    store::dead_letters::{self, keep_unless_stored},
};
use tokio_util::sync::CancellationToken;

fn letter(order: &NewOrder, payload: &[u8]) -> DeadLetter {
    DeadLetter {
        id: dead_letters::id_of(Some(order.id), payload),
        order_id: Some(order.id),
        reason: "the bar was on fire".into(),
        attempts: 3,
        first_failed_at: now(),
        created_at: now(),
        resolution: None,
    }
}

impl StoreFixture {
    /// Keeps a dead letter of this order. Returns true if it is open.
    async fn keep(&self, order: &NewOrder, payload: &'static [u8], of: Option<&NewOrder>) -> bool {
        let (letter, of) = (letter(order, payload), of.cloned());
        let keeping =
            self.store.write(async move |conn| keep_unless_stored(conn, &letter, payload, of.as_ref()).await);
        keeping.await.unwrap()
    }

    async fn resolution(&self, id: DeadLetterId) -> Option<Resolution> {
        let (letter, _) =
            self.store.read(async move |conn| dead_letters::find(conn, id).await).await.unwrap().unwrap();
        letter.resolution.map(|(what, _, by)| {
            assert_eq!(by, None, "nobody decided it");
            what
        })
    }

    async fn resolution_of(&self, order: &NewOrder, payload: &[u8]) -> Option<Resolution> {
        self.resolution(dead_letters::id_of(Some(order.id), payload)).await
    }

    /// Waits until a session waits for a lock in PostgreSQL.
    async fn until_somebody_waits(&self) {
        let waiting = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("one of the two to wait for the other", async || {
            (self.database.count(waiting).await > 0).then_some(())
        })
        .await;
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recording_an_order_resolves_its_letters_and_no_others(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let fixture = StoreFixture::new(database).await;
    let (order, other) = (fixture.order(), fixture.order());
    assert!(fixture.keep(&order, b"one", Some(&order)).await);
    assert!(fixture.keep(&order, b"two", None).await);
    assert!(fixture.keep(&other, b"one", None).await);
    let mut batch = fixture.orders(20);
    batch.push(order.clone());
    assert_eq!(fixture.record(&batch).await, vec![RECORDED; 21]);
    for payload in [&b"one"[..], b"two"] {
        assert_eq!(fixture.resolution_of(&order, payload).await, Some(Resolution::Replayed));
    }
    assert_eq!(fixture.resolution_of(&other, b"one").await, None);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_of_an_order_that_is_stored_is_not_open(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let fixture = StoreFixture::new(database).await;
    let order = fixture.order();
    fixture.record(std::slice::from_ref(&order)).await;
    assert!(!fixture.keep(&order, b"one", Some(&order)).await);
    assert!(!fixture.keep(&order, b"in a newer format", None).await);
    let mut renamed = order.clone();
    renamed.lines[0].recipe.name = Name::try_from("Another name").unwrap();
    assert!(!fixture.keep(&order, b"under another name", Some(&renamed)).await);
    assert_eq!(fixture.resolution_of(&order, b"one").await, Some(Resolution::Replayed));
    let another = NewOrder { note: Note::try_from("another one").ok(), ..order.clone() };
    assert!(fixture.keep(&order, b"of somebody else", Some(&another)).await, "a conflict");
    // Looking for it has left the order as it was.
    let stored = fixture.bar().find(fixture.bartender(), order.id).await.unwrap().unwrap();
    assert_eq!((stored.placed, stored.version), (order, 1));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recording_and_keeping_at_once_leave_no_open_letter(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let fixture = StoreFixture::new(database).await;
    for _ in 0..20 {
        let orders = fixture.orders(10);
        let (store, batch) = (fixture.store.clone(), orders.clone());
        let recording = tokio::spawn(async move { record_batch(&store, Arc::from(batch)).await });
        let (store, mut kept) = (fixture.store.clone(), orders.clone());
        kept.sort_unstable_by_key(|order| order.id);
        let keeping = tokio::spawn(async move {
            let keeping = store.write(async move |conn| {
                for order in &kept {
                    keep_unless_stored(conn, &letter(order, b"one"), b"one", Some(order)).await?;
                }
                Ok(())
            });
            keeping.await.unwrap();
        });
        let outcomes: Vec<_> = recording.await.unwrap().into_iter().map(timeless).collect();
        keeping.await.unwrap();
        assert_eq!(outcomes, vec![RECORDED; 10]);
        for order in &orders {
            assert_eq!(fixture.resolution_of(order, b"one").await, Some(Resolution::Replayed));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_a_letter_waits_for_who_is_storing_its_order() {
    let fixture = StoreFixture::new(PostgreSql).await;
    let order = fixture.order();
    let (begun, end) = (CancellationToken::new(), CancellationToken::new());
    let (has_begun, ends) = (begun.clone(), end.clone());
    let (store, batch): (_, Arc<[NewOrder]>) = (fixture.store.clone(), Arc::from([order.clone()]));
    let recording = tokio::spawn(async move {
        let recording = store.write(async move |conn| {
            shakerqueue::store::insert_orders::record(conn, &batch, now()).await?;
            begun.cancel();
            ends.cancelled().await;
            Ok(())
        });
        recording.await
    });
    has_begun.cancelled().await;
    let keeping = fixture.keep(&order, b"one", Some(&order));
    let (is_open, ()) = tokio::join!(keeping, async {
        fixture.until_somebody_waits().await;
        end.cancel();
    });
    recording.await.unwrap().unwrap();
    assert!(!is_open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stores_an_order_waits_for_who_is_keeping_its_letter() {
    let fixture = StoreFixture::new(PostgreSql).await;
    let order = fixture.order();
    let (begun, end) = (CancellationToken::new(), CancellationToken::new());
    let (has_begun, ends) = (begun.clone(), end.clone());
    let (store, kept) = (fixture.store.clone(), letter(&order, b"one"));
    let keeping = tokio::spawn(async move {
        let keeping = store.write(async move |conn| {
            let is_open = keep_unless_stored(conn, &kept, b"one", None).await?;
            begun.cancel();
            ends.cancelled().await;
            Ok(is_open)
        });
        keeping.await
    });
    has_begun.cancelled().await;
    let batch = [order.clone()];
    let recording = fixture.record(&batch);
    let (outcomes, ()) = tokio::join!(recording, async {
        fixture.until_somebody_waits().await;
        end.cancel();
    });
    assert!(keeping.await.unwrap().unwrap(), "it was open when it was kept");
    assert_eq!(outcomes, [RECORDED]);
    assert_eq!(fixture.resolution_of(&order, b"one").await, Some(Resolution::Replayed));
}
