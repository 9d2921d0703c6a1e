//! Cursors: streams resume with them, or read everything again.

use super::{BOARD, add_menu_change, next_edition};
use crate::support::{
    Bar,
    DatabaseKind::{self, PostgreSql, Sqlite},
    Person,
    events::Events,
    person::id,
};
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

/// Asserts that a stream with this cursor begins with `reset`, and continues.
async fn is_reset(bar: &Bar, person: &Person, cursor: &str) {
    let mut events = Events::open(&person.at(&bar.url), BOARD, Some(cursor)).await;
    let first = events.next().await.expect("an event");
    assert_eq!(first.name, "reset", "{cursor}: {first:?}");
    let order = person.at(&bar.url).order("Negroni").await;
    assert_eq!(id(&events.next_named("order").await), id(&order));
}

/// Adds so many changes in one transaction, each with this content.
async fn add_changes(bar: &Bar, count: u32, what: &str) {
    let statement = format!(
        "WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {count})
        INSERT INTO changes (at, what) SELECT (SELECT max(created_at) FROM users), '{what}' FROM numbers"
    );
    bar.database.execute(&statement).await;
}

/// Returns a cursor with the time of `seconds` ago.
fn aged(cursor: &str, seconds: i64) -> String {
    let parts: Vec<&str> = cursor.splitn(3, '.').collect();
    let reached_at: i64 = parts[1].parse().expect("a time");
    format!("{}.{}.{}", parts[0], reached_at - seconds, parts[2])
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_resumes_after_a_restart(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let mut events = Events::open(&bartender, BOARD, None).await;
    let first = guest.order("Negroni").await;
    assert_eq!(id(&events.next_named("order").await), id(&first));
    let seen = events.next_id().await;
    drop(events);
    let missed = guest.order("Margarita").await;
    let bar = Bar::open_on(bar.shut().await, &[]).await;
    bar.database.execute(&add_menu_change("of somebody else")).await;
    for _ in 0..2 {
        let mut events = Events::open(&bartender.at(&bar.url), BOARD, Some(&seen)).await;
        let event = events.next().await.expect("an event");
        assert_eq!((event.name.as_str(), id(&event.data)), ("order", id(&missed)), "{event:?}");
    }
    let mut events = Events::open(&bartender.at(&bar.url), BOARD, Some(&seen)).await;
    assert_eq!(next_edition(&mut events).await, "of somebody else");
    drop(events);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_is_older_than_what_is_kept_reads_everything_again(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let bartender = bar.employee().await;
    let mut events = Events::open(&bartender, BOARD, None).await;
    bartender.order("Negroni").await;
    events.next_named("order").await;
    let seen = events.next_id().await;
    drop(events);
    for seconds in [601, 7200, -700, i64::from(i32::MAX)] {
        is_reset(&bar, &bartender, &aged(&seen, seconds)).await;
    }
    let order = bartender.order("Margarita").await;
    let mut events = Events::open(&bartender, BOARD, Some(&aged(&seen, 500))).await;
    loop {
        let event = events.next().await.expect("an event");
        assert_eq!(event.name, "order", "{event:?}");
        if id(&event.data) == id(&order) {
            break;
        }
    }
    drop(events);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_missed_more_than_200_orders_reads_everything_again(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let mut events = Events::open(&bartender, BOARD, None).await;
    let seen = events.next_id().await;
    let somebody = Uuid::now_v7();
    let orders: Vec<_> = (0..201).map(|_| json!([Uuid::now_v7(), 1, somebody])).collect();
    add_changes(&bar, 1, &json!({ "orders": orders }).to_string()).await;
    assert_eq!(events.next().await.expect("an event").name, "reset", "the open stream");
    is_reset(&bar, &bartender, &seen).await;
    // A guest does not see them.
    let mut events = Events::open(&guest, "/stream", Some(&seen)).await;
    assert_eq!(events.next().await.expect("an event").name, "lag");
    drop(events);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_10_000_changes_are_not_read_one_by_one(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let bartender = bar.employee().await;
    let mut events = Events::open(&bartender, BOARD, None).await;
    let seen = events.next_id().await;
    // So many are read.
    add_changes(&bar, 9_000, "{}").await;
    bar.database.execute(&add_menu_change("B")).await;
    assert_eq!(next_edition(&mut events).await, "B");
    add_changes(&bar, 10_001, "{}").await;
    assert_eq!(events.next().await.expect("an event").name, "reset", "the reader");
    drop(events);
    let bar = Bar::open_on(bar.shut().await, &[]).await;
    is_reset(&bar, &bartender, &seen).await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_are_large_are_not_read_by_a_client_that_resumes(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let bartender = bar.employee().await;
    let seen = Events::open(&bartender, BOARD, None).await.next_id().await;
    let what = json!({ "later": "-".repeat(1024 * 1024) }).to_string();
    let database = bar.shut().await;
    for _ in 0..17 {
        let add = format!("INSERT INTO changes (at, what) SELECT max(created_at), '{what}' FROM users");
        database.execute(&add).await;
    }
    let bar = Bar::open_on(database, &[]).await;
    is_reset(&bar, &bartender, &seen).await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_a_later_version_wrote_is_passed_over(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let bartender = bar.employee().await;
    let mut events = Events::open(&bartender, BOARD, None).await;
    // Fields that are not known, and then a shape that is not.
    add_changes(&bar, 1, r#"{"later":[1],"menu":{"edition":"B","changed":[],"later":1}}"#).await;
    assert_eq!(next_edition(&mut events).await, "B");
    add_changes(&bar, 1, r#"{"orders":"later"}"#).await;
    assert_eq!(events.next().await.expect("an event").name, "reset");
    let order = bartender.order("Negroni").await;
    assert_eq!(id(&events.next_named("order").await), id(&order));
    drop(events);
    bar.close().await;
}
