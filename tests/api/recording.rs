//! The recorder's contract, on both databases: duplicates, conflicts, and orders that can't be recorded.

use crate::support::{DatabaseKind, PostgreSql, Sqlite, database::Database};
use chrono::TimeDelta;
use rstest::rstest;
use shakerqueue::{
    domain::{
        Timestamp,
        account::{Email, Role},
        ids::{OrderId, RecipeId, SessionId, UserId},
        now,
        order::{Drink, NewOrder, Order, OrderLine, Quantity},
        priority,
        recipe::PreparationSeconds,
        text::{Name, Note, Username},
    },
    services::{
        accounts::{Caller, new_user},
        idempotency::IdempotencyOutcome,
        orders::{
            board::Board,
            recorder::{RecordOutcome, record_batch},
        },
        seed,
    },
    store::{Store, recipes, users},
};
use std::sync::Arc;

/// A store with a customer and a menu, without the HTTP API.
struct StoreFixture {
    store: Store,
    customer: UserId,
    drink: Drink,
    database: Database,
}

impl StoreFixture {
    async fn new(kind: DatabaseKind) -> Self {
        let database = Database::new(kind).await;
        let store = database.store();
        if kind == Sqlite {
            store.migrate().await.unwrap();
        }
        let (menu, accounts) = (seed::house_menu().unwrap(), seed::demo_accounts().unwrap());
        seed::fill(&store, menu, accounts).await.unwrap();
        let user = new_user(
            Username::try_from("Ana").unwrap(),
            Email::try_from("ana@example.com").unwrap(),
            Role::Customer,
        );
        let customer = user.id;
        store.write(async move |conn| users::add(conn, &user, "no hash").await).await.unwrap();
        let menu = store.read(async |conn| recipes::menu(conn).await).await.unwrap();
        let drink = Drink { id: menu[0].id, name: menu[0].spec.name.clone() };
        Self { store, customer, drink, database }
    }

    /// Returns another customer, of the demo data.
    async fn somebody_else(&self) -> UserId {
        let email = Email::try_from("user@example.com").unwrap();
        let found = self.store.read(async move |conn| users::by_email(conn, &email).await);
        found.await.unwrap().unwrap().0.id
    }

    fn order(&self) -> NewOrder {
        NewOrder {
            id: OrderId::new_v7(),
            customer_id: self.customer,
            placed_by: self.customer,
            lines: vec![OrderLine { recipe: self.drink.clone(), quantity: Quantity::ONE, note: None }],
            table: None,
            note: None,
            priority: 1,
            due_at: now(),
            placed_at: now(),
        }
    }

    fn orders(&self, count: usize) -> Vec<NewOrder> {
        (0..count).map(|_| self.order()).collect()
    }

    async fn record(&self, orders: &[NewOrder]) -> Vec<RecordOutcome> {
        record_batch(&self.store, Arc::from(orders)).await.into_iter().map(timeless).collect()
    }

    fn bar(&self) -> Board {
        Board::new(self.store.clone())
    }

    fn bartender(&self) -> Caller {
        Caller { id: self.customer, role: Role::Employee, session: SessionId::new_v7() }
    }
}

const RECORDED: RecordOutcome = RecordOutcome::Recorded(Timestamp::EARLIEST);

/// Replaces the time of an outcome, so that outcomes can be compared.
fn timeless(outcome: RecordOutcome) -> RecordOutcome {
    if matches!(outcome, RecordOutcome::Recorded(_)) { RECORDED } else { outcome }
}

mod given_up;
mod letters;
mod lost_connections;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_reads_as_it_was_placed(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let fixture = StoreFixture::new(database).await;
    let mut order = fixture.order();
    order.lines.push(OrderLine {
        recipe: fixture.drink.clone(),
        quantity: 20.try_into().unwrap(),
        note: Note::try_from("dry").ok(),
    });
    order.note = Note::try_from("for the terrace").ok();
    let outcomes = record_batch(&fixture.store, Arc::from([order.clone()])).await;
    let [RecordOutcome::Recorded(at)] = outcomes[..] else { panic!("{outcomes:?}") };
    let stored = fixture.bar().find(fixture.bartender(), order.id).await.unwrap().unwrap();
    assert_eq!(stored, Order::recorded(order, at), "as its guest was told");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_comes_again_is_one_order(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let fixture = StoreFixture::new(database).await;
    let batch = fixture.orders(500);
    assert_eq!(fixture.record(&batch).await, vec![RECORDED; 500]);
    assert_eq!(fixture.record(&batch).await, vec![RecordOutcome::AlreadyThere; 500]);
    let order = fixture.order();
    let twice = [order.clone(), order.clone()];
    assert_eq!(fixture.record(&twice).await, [RECORDED, RecordOutcome::AlreadyThere]);
    let history = fixture.bar().history(fixture.bartender(), order.id).await.unwrap().unwrap();
    assert_eq!(history.len(), 1);
    let stored = fixture.bar().find(fixture.bartender(), order.id).await.unwrap().unwrap();
    assert_eq!(stored.placed.lines.len(), 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_drink_was_renamed_meanwhile_is_the_same_order(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let fixture = StoreFixture::new(database).await;
    let first = fixture.order();
    let mut renamed = first.clone();
    renamed.lines[0].recipe.name = Name::try_from("Another name").unwrap();
    assert_ne!(renamed.fingerprint(), first.fingerprint());
    assert_eq!(
        fixture.record(&[first.clone(), renamed.clone()]).await,
        [RECORDED, RecordOutcome::AlreadyThere]
    );
    assert_eq!(fixture.record(&[renamed.clone(), first.clone()]).await, vec![RecordOutcome::AlreadyThere; 2]);
    renamed.lines[0].recipe.id = RecipeId::new_v7();
    assert_eq!(fixture.record(&[renamed]).await, [RecordOutcome::KeyReused]);
    let stored = fixture.bar().find(fixture.bartender(), first.id).await.unwrap().unwrap();
    assert_eq!(stored.placed, first, "as it was ordered");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_order_under_the_same_id_is_a_used_key_or_a_conflict(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let fixture = StoreFixture::new(database).await;
    let first = fixture.order();
    let (mut second, mut strange) = (first.clone(), first.clone());
    second.note = Note::try_from("another one").ok();
    strange.customer_id = fixture.somebody_else().await;
    let batch = [first.clone(), second.clone(), strange.clone()];
    assert_eq!(fixture.record(&batch).await, [RECORDED, RecordOutcome::KeyReused, RecordOutcome::Conflict]);
    let batch = [strange, second, first];
    assert_eq!(
        fixture.record(&batch).await,
        [RecordOutcome::Conflict, RecordOutcome::KeyReused, RecordOutcome::AlreadyThere]
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_stored_does_not_hold_back_the_others(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let fixture = StoreFixture::new(database).await;
    let mut batch = fixture.orders(200);
    batch[57].customer_id = UserId::new_v7();
    batch[123].lines[0].recipe.id = RecipeId::new_v7();
    let outcomes = fixture.record(&batch).await;
    for (at, outcome) in outcomes.iter().enumerate() {
        match at {
            57 | 123 => assert!(matches!(outcome, RecordOutcome::Refused(_)), "{at}: {outcome:?}"),
            _ => assert_eq!(*outcome, RECORDED, "{at}"),
        }
    }
    let refused = fixture.bar().find(fixture.bartender(), batch[123].id).await.unwrap();
    assert_eq!(refused, None, "nothing of it is half stored");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_with_the_same_orders_at_once_store_each_once(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let fixture = StoreFixture::new(database).await;
    let batch = fixture.orders(100);
    let recording: Vec<_> = (0..8)
        .map(|number| {
            let store = fixture.store.clone();
            let mut batch = batch.clone();
            batch.rotate_left(number * 13);
            tokio::spawn(async move { record_batch(&store, Arc::from(batch)).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in recording {
        outcomes.extend(task.await.unwrap().into_iter().map(timeless));
    }
    let recorded = outcomes.iter().filter(|outcome| **outcome == RECORDED).count();
    let there = outcomes.iter().filter(|outcome| **outcome == RecordOutcome::AlreadyThere).count();
    assert_eq!((recorded, there), (100, 700));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_starves_however_many_quick_orders_come(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let fixture = StoreFixture::new(database).await;
    let began = now();
    let at = |seconds: i64, takes: u16| {
        let placed_at = began + TimeDelta::seconds(seconds);
        NewOrder { placed_at, due_at: priority::due(placed_at, takes), ..fixture.order() }
    };
    let slow = at(0, PreparationSeconds::MAX);
    // One quick order a second, for a quarter of an hour, all of them placed after the slow one.
    let quick: Vec<_> = (1..900).map(|second| at(second, 15)).collect();
    fixture.record(&quick).await;
    fixture.record(std::slice::from_ref(&slow)).await;
    let (bar, bartender) = (fixture.bar(), fixture.bartender());
    let mut before = 0;
    loop {
        match bar.next(bartender, None).await.unwrap() {
            IdempotencyOutcome::Executed(Some(order)) if order.placed.id == slow.id => break,
            IdempotencyOutcome::Executed(Some(_)) => before += 1,
            other => panic!("{other:?}"),
        }
    }
    // Those placed up to 585 s after it are due before it; on equal terms the smaller id goes first.
    assert!((584..=585).contains(&before), "{before} orders overtook it");
}
