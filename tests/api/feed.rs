//! The stream of changes, and the feed behind it.

mod commits;
mod connections;
mod cursors;
mod restored;
mod slow_readers;

use crate::support::{
    Bar,
    database::DatabaseKind::{self, PostgreSql, Sqlite},
    events::Events,
    person::id,
};
use rstest::rstest;
use serde_json::json;

/// The stream of a board, which hears often that it is alive.
const BOARD: &str = "/stream?board=01a203c7-a828-7562-865f-b3ef9919e243";

/// Builds a statement that adds a change of the menu with this edition, without notifying anybody.
fn add_menu_change(edition: &str) -> String {
    format!(
        "INSERT INTO changes (at, what)
        SELECT max(created_at), '{{\"menu\":{{\"edition\":\"{edition}\",\"changed\":[]}}}}' FROM users"
    )
}

/// Reads the edition of the next change of the menu.
async fn next_edition(events: &mut Events) -> String {
    events.next_named("menu").await["edition"].as_str().expect("an edition").to_owned()
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_hears_of_their_own_orders_and_of_the_menu(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, other, bartender) = (bar.guest().await, bar.guest().await, bar.employee().await);
    let mut events = Events::open(&guest, "/stream", None).await;
    other.order("Negroni").await;
    let order = guest.order("Margarita").await;
    let event = events.next_named("order").await;
    assert_eq!(id(&event), id(&order), "their own order, and nobody else's");
    assert_eq!((&event["status"], &event["version"]), (&json!("pending"), &json!(1)));
    bartender.moves(&order, "start").await.expect(200);
    let event = events.next_named("order").await;
    assert_eq!((&event["status"], &event["version"]), (&json!("in_progress"), &json!(2)));

    let recipe = &bar.stranger().get("/recipes?q=Mojito").await.expect(200)["recipes"][0];
    bartender
        .put(&format!("/recipes/{}/availability", id(recipe)), json!({ "available": false }))
        .await
        .expect(200);
    let menu = events.next_named("menu").await;
    assert_eq!(menu["changed"], json!([{ "id": id(recipe), "available": false, "missing": [] }]));
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_hear_of_every_order_and_resume_at_another_serve(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let mut events =
        Events::open(&bartender, "/stream?board=01a203c7-a828-7562-865f-b3ef9919e243", None).await;
    let first = guest.order("Negroni").await;
    assert_eq!(id(&events.next_named("order").await), id(&first));
    let seen = events.next_id().await;
    drop(events);
    let second = guest.order("Margarita").await;
    bartender.moves(&first, "start").await.expect(200);

    let another = if database == PostgreSql { Some(bar.another().await) } else { None };
    let url = another.as_ref().map_or(&bar.url, |another| &another.url);
    let mut events = Events::open(&bartender.at(url), "/stream", Some(&seen)).await;
    let mut missed = [events.next_named("order").await, events.next_named("order").await];
    missed.sort_by_key(|order| order["version"].as_i64());
    assert_eq!((id(&missed[0]), id(&missed[1])), (id(&second), id(&first)));
    assert_eq!(missed[1]["status"], "in_progress");
    if let Some(another) = another {
        drop(events);
        another.close().await;
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_is_none_makes_the_client_read_everything_again(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let guest = bar.guest().await;
    for cursor in
        ["rubbish", "a.b.c", "other.0.1:1:", "x.99999999999.18446744073709551615:18446744073709551615:", ""]
    {
        let mut events = Events::open(&guest, "/stream", Some(cursor)).await;
        let next = events.next().await.expect("an event");
        assert_eq!(next.name, "reset", "{cursor:?}: {next:?}");
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_its_caller_signs_out(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let guest = bar.guest().await;
    let mut events = Events::open(&guest, "/stream", None).await;
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    assert_eq!(events.header("cache-control"), Some("no-store, no-transform"));
    assert_eq!(events.header("content-encoding"), None);
    guest.ask("/logout").await.expect(204);
    assert!(events.next_named("bye").await["retry_ms"].as_u64().is_some_and(|retry| retry <= 5000));
    assert!(events.next().await.is_none(), "nothing behind it");
    bar.close().await;
}
