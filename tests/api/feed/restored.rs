//! Databases that were restored: cursors from before read everything again, and nothing of an old feed is sent.

use super::{BOARD, add_menu_change, next_edition};
use crate::support::{
    Bar,
    DatabaseKind::{PostgreSql, Sqlite},
    Person,
    database::Database,
    events::Events,
    eventually,
    person::id,
};
use std::{fs, path::PathBuf};

/// Opens a stream with a cursor from before, and asserts that it begins with `reset`.
async fn reset(person: &Person, cursor: &str) -> Events {
    let mut events = Events::open(person, BOARD, Some(cursor)).await;
    let first = events.next().await.expect("an event");
    assert_eq!(first.name, "reset", "{cursor}: {first:?}");
    events
}

/// Waits until nobody is connected to a PostgreSQL database.
async fn until_unused(database: &Database, elsewhere: &Database) {
    let sessions = format!("pg_stat_activity WHERE datname = '{}'", database.name());
    eventually("the sessions to end", async || (elsewhere.count(&sessions).await == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_database_begins_a_feed_of_its_own() {
    let bar = Bar::open(PostgreSql).await;
    let bartender = bar.employee().await;
    let mut events = Events::open(&bartender, BOARD, None).await;
    bartender.order("Negroni").await;
    events.next_named("order").await;
    let seen = events.next_id().await;
    drop(events);
    let original = bar.shut().await;
    // Of a transaction that this server will have much later.
    let (name, mut copy) = (original.name().to_owned(), Database::reserved());
    let later = "INSERT INTO changes (xid, at, what) VALUES ('99999999999', now(), '{\"menu\":{\"edition\":\"old\",\"changed\":[]}}')";
    original.client().await.batch_execute(later).await.unwrap();
    let next_door = Database::empty().await;
    until_unused(&original, &next_door).await;
    let statement = format!("CREATE DATABASE {} TEMPLATE {name}", copy.name());
    next_door.client().await.batch_execute(&statement).await.unwrap();
    copy.app_url = copy.url_as(&name);
    assert!(copy.count("changes").await > 0);

    let bar = Bar::open_on(copy, &[]).await;
    assert_eq!(bar.database.count("changes WHERE what LIKE '%old%'").await, 0);
    let bartender = bartender.at(&bar.url);
    let mut events = reset(&bartender, &seen).await;
    let order = bartender.order("Negroni").await;
    assert_eq!(id(&events.next_named("order").await), id(&order));
    let seen = events.next_id().await;
    let another = bar.another().await;
    let mut resumed = Events::open(&bartender.at(&another.url), BOARD, Some(&seen)).await;
    bar.database.execute(&add_menu_change("new")).await;
    assert_eq!(next_edition(&mut resumed).await, "new");
    drop((events, resumed));
    another.close().await;
    bar.close().await;
    drop(original);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_is_restored_under_a_running_serve_resets_its_streams() {
    let bar = Bar::open(PostgreSql).await;
    let bartender = bar.employee().await;
    let mut events = Events::open(&bartender, BOARD, None).await;
    let seen = events.next_id().await;
    let name = bar.database.name().to_owned();
    // What `pg_restore --clean` does with the table.
    let replace = format!(
        "BEGIN; ALTER TABLE changes RENAME TO replaced; CREATE TABLE changes (LIKE replaced INCLUDING ALL);
        GRANT SELECT, INSERT, UPDATE, DELETE ON changes TO {name};
        INSERT INTO changes (xid, at, what) VALUES ('99999999999', now(), '{{}}'); COMMIT"
    );
    bar.database.client().await.batch_execute(&replace).await.unwrap();
    events.next_named("reset").await;
    let order = bartender.order("Negroni").await;
    assert_eq!(id(&events.next_named("order").await), id(&order));
    assert_eq!(bar.database.count("changes WHERE what = '{}'").await, 0);
    drop(events);
    drop(reset(&bartender, &seen).await);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_that_the_server_has_not_reached_reads_everything_again() {
    let bar = Bar::open(PostgreSql).await;
    let bartender = bar.employee().await;
    let seen = Events::open(&bartender, BOARD, None).await.next_id().await;
    // Of a server whose files were replaced by an older copy.
    let (feed, _) = seen.rsplit_once('.').expect("a position");
    drop(reset(&bartender, &format!("{feed}.4000000000:4000000000:")).await);
    bar.close().await;
}

/// Returns the files of a SQLite database.
fn files_of(database: &Database) -> [PathBuf; 3] {
    let path = database.url.strip_prefix("sqlite://").expect("a file");
    ["", "-wal", "-shm"].map(|ending| PathBuf::from(format!("{path}{ending}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_replaced_by_an_older_copy_resets_later_cursors() {
    let bar = Bar::open(Sqlite).await;
    let bartender = bar.employee().await;
    bartender.order("Negroni").await;
    let database = bar.shut().await;
    let files = files_of(&database);
    let older = files.clone().map(|file| fs::read(file).ok());
    let bar = Bar::open_on(database, &[]).await;
    let bartender = bartender.at(&bar.url);
    let mut events = Events::open(&bartender, BOARD, None).await;
    for _ in 0..2 {
        bartender.order("Margarita").await;
        events.next_named("order").await;
    }
    let later = events.next_id().await;
    drop(events);
    let database = bar.shut().await;
    for (file, content) in files.iter().zip(older) {
        match content {
            Some(content) => fs::write(file, content).unwrap(),
            None => drop(fs::remove_file(file)),
        }
    }
    let bar = Bar::open_on(database, &[]).await;
    let bartender = bartender.at(&bar.url);
    // Also once the file has other changes in their place.
    for _ in 0..5 {
        drop(reset(&bartender, &later).await);
        bartender.order("Mojito").await;
    }
    let bar = Bar::open_on(bar.shut().await, &[]).await;
    drop(reset(&bartender.at(&bar.url), &later).await);
    bar.close().await;
}
