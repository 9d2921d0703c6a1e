//! The order in which transactions end: each change arrives once, and none waits for another's transaction.

use super::{BOARD, add_menu_change, next_edition};
use crate::support::{
    Bar,
    DatabaseKind::{self, PostgreSql, Sqlite},
    database::Database,
    events::Events,
    person::id,
};
use futures_util::future::join_all;
use rstest::rstest;
use std::time::Duration;
use tokio::time::{Instant, timeout};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_are_committed_out_of_order_arrive_each_once() {
    let bar = Bar::open(PostgreSql).await;
    let bartender = bar.employee().await;
    let mut events = Events::open(&bartender, BOARD, None).await;
    let (mut first, second) = (bar.database.client().await, bar.database.client().await);
    let begun_first = first.transaction().await.unwrap();
    begun_first.batch_execute(&add_menu_change("A")).await.unwrap();
    second.batch_execute(&add_menu_change("B")).await.unwrap();
    assert_eq!(next_edition(&mut events).await, "B", "it does not wait for the one before");
    let between = events.next_id().await;
    begun_first.commit().await.unwrap();
    assert_eq!(next_edition(&mut events).await, "A");
    second.batch_execute(&add_menu_change("C")).await.unwrap();
    assert_eq!(next_edition(&mut events).await, "C", "and none twice");
    // Changes of the menu that are missed come as one.
    let another = bar.another().await;
    for url in [&bar.url, &another.url] {
        let mut events = Events::open(&bartender.at(url), BOARD, Some(&between)).await;
        assert_eq!(next_edition(&mut events).await, "C");
        let seen = events.next_id().await;
        let mut events = Events::open(&bartender.at(url), BOARD, Some(&seen)).await;
        assert_eq!(events.next().await.expect("a heartbeat").name, "lag", "nothing is missed");
    }
    another.close().await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_before_the_commit_of_an_earlier_transaction_gets_its_change() {
    let bar = Bar::open(PostgreSql).await;
    let bartender = bar.employee().await;
    let mut events = Events::open(&bartender, BOARD, None).await;
    let (mut first, second) = (bar.database.client().await, bar.database.client().await);
    let begun_first = first.transaction().await.unwrap();
    begun_first.batch_execute(&add_menu_change("A")).await.unwrap();
    second.batch_execute(&add_menu_change("B")).await.unwrap();
    assert_eq!(next_edition(&mut events).await, "B");
    let between = events.next_id().await;
    begun_first.commit().await.unwrap();
    assert_eq!(next_edition(&mut events).await, "A");
    let another = bar.another().await;
    for url in [&bar.url, &another.url] {
        let mut events = Events::open(&bartender.at(url), BOARD, Some(&between)).await;
        assert_eq!(next_edition(&mut events).await, "A", "the other one was seen");
    }
    another.close().await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_rolled_back_never_arrives(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let bartender = bar.employee().await;
    let mut events = Events::open(&bartender, BOARD, None).await;
    if database == PostgreSql {
        let mut client = bar.database.client().await;
        let begun = client.transaction().await.unwrap();
        begun.batch_execute(&add_menu_change("A")).await.unwrap();
        begun.rollback().await.unwrap();
    } else {
        bar.database
            .execute(&format!("SAVEPOINT a; {}; ROLLBACK TO a; RELEASE a", add_menu_change("A")))
            .await;
    }
    bar.database.execute(&add_menu_change("B")).await;
    assert_eq!(next_edition(&mut events).await, "B");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_that_is_lost_delays_a_change_and_loses_none(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let mut events = Events::open(&bar.employee().await, BOARD, None).await;
    // Nobody notifies of these.
    for number in 0..5 {
        let begun = Instant::now();
        bar.database.execute(&add_menu_change(&number.to_string())).await;
        assert_eq!(next_edition(&mut events).await, number.to_string());
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_transactions_of_strangers_on_the_same_server_delay_nobody() {
    let (bar, next_door) = (Bar::open(PostgreSql).await, Database::empty().await);
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let strangers = join_all((0..12).map(async |_| {
        let stranger = next_door.client().await;
        stranger.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
        stranger
    }))
    .await;
    let mut events = Events::open(&bartender, BOARD, None).await;
    for recipe in ["Negroni", "Margarita", "Negroni"] {
        let order = guest.order(recipe).await;
        let event = timeout(Duration::from_secs(5), events.next_named("order")).await.expect("no delay");
        assert_eq!((id(&event), &event["version"]), (id(&order), &1.into()));
    }
    let seen = events.next_id().await;
    assert!(seen.len() < 400, "{seen}");
    let missed = guest.order("Mojito").await;
    let another = bar.another().await;
    for url in [&bar.url, &another.url] {
        let mut events = Events::open(&bartender.at(url), BOARD, Some(&seen)).await;
        let mut found = Vec::new();
        while found.last().is_none_or(|order| order != id(&missed)) {
            let event = events.next().await.expect("an event");
            assert_eq!(event.name, "order", "{event:?}");
            found.push(id(&event.data).to_owned());
        }
        assert_eq!(found.len(), 1, "they are not sent again: {found:?}");
    }
    for stranger in strangers {
        stranger.batch_execute("COMMIT").await.unwrap();
    }
    let last = guest.order("Negroni").await;
    loop {
        let event = events.next_named("order").await;
        assert_eq!(event["version"], 1);
        if id(&event) == id(&last) {
            break;
        }
        assert_eq!(id(&event), id(&missed));
    }
    another.close().await;
    bar.close().await;
}

/// Counts the rows and index entries of changes that were read so far.
async fn read_so_far(database: &Database) -> i64 {
    let read = "SELECT ((SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = 'changes')
        + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'changes'))::bigint";
    database.client().await.query_one(read, &[]).await.expect("a count").get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reader_reads_no_change_again_and_again_while_a_stranger_has_a_transaction_open() {
    let (bar, next_door) = (Bar::open(PostgreSql).await, Database::empty().await);
    let stranger = next_door.client().await;
    stranger.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
    let mut events = Events::open(&bar.employee().await, BOARD, None).await;
    // Each in a transaction of its own.
    let set = "SET synchronous_commit = off";
    let loop_of_commits = "DO $$ BEGIN FOR number IN 1..1500 LOOP
        INSERT INTO changes (at, what) VALUES (now(), '{}'); COMMIT; END LOOP; END $$";
    for edition in ["A", "B", "C"] {
        let client = bar.database.client().await;
        client.batch_execute(set).await.unwrap();
        client.batch_execute(loop_of_commits).await.unwrap();
        bar.database.execute(&add_menu_change(edition)).await;
        assert_eq!(next_edition(&mut events).await, edition);
    }
    bar.database.client().await.batch_execute("VACUUM ANALYZE changes").await.unwrap();
    // Statistics come up to a second late.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = read_so_far(&bar.database).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let read = read_so_far(&bar.database).await - before;
    assert!(read < 1000, "{read} in 12 polls");
    drop(events);
    bar.close().await;
}
