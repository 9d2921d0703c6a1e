//! The feed of changes, and its streams.

use super::{Scrape, becomes};
use crate::support::{
    Person,
    database::Database,
    events::Events,
    eventually,
    executable::{Role, serve_settings},
    installation::Installation,
};

const LAG_SECONDS: &str = "shakerqueue_feed_lag_seconds";
const CHANGES_READ: &str = "shakerqueue_feed_changes_read_total";
const STREAMS: &str = "shakerqueue_streams";
const RESETS: &str = "shakerqueue_stream_resets_total";
const BOARD: &str = "/stream?board=01a203c7-a828-7562-865f-b3ef9919e243";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_and_changes_are_counted() {
    let database = Database::file();
    let environment = serve_settings(&database.url, &[]);
    let mut serve = Role::start(&["serve", "--demo"], &environment);
    let url = serve.url().await;
    let bartender = Person::new(&reqwest::Client::new(), &url, None).sign_in("employee@example.com").await;
    becomes(&url, STREAMS, 0.0).await;
    let following = Events::open(&bartender, BOARD, None).await;
    let mut confused = Events::open(&bartender, BOARD, Some("rubbish")).await;
    confused.next_named("reset").await;
    becomes(&url, STREAMS, 2.0).await;
    becomes(&url, RESETS, 1.0).await;
    let before = Scrape::of(&url).await.get(CHANGES_READ);
    bartender.order("Negroni").await;
    becomes(&url, CHANGES_READ, before + 1.0).await;
    drop(confused);
    becomes(&url, STREAMS, 1.0).await;
    drop(following);
    assert!(Scrape::of(&url).await.get(LAG_SECONDS) < 5.0);
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lag_grows_while_the_database_is_away() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve().await;
    let lag = async || Scrape::of(&url).await.get(LAG_SECONDS);
    bar.database.take_down().await;
    eventually("the feed to lag", async || (lag().await > 2.0).then_some(())).await;
    bar.database.bring_back().await;
    eventually("the feed to be read", async || (lag().await < 1.0).then_some(())).await;
    serve.stop().await;
    bar.prefix.clear().await;
}
