//! Clients that don't read their stream.

use super::{BOARD, add_menu_change};
use crate::support::{Bar, Sqlite, events::Events, person::id, raw::Raw};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Longer than the server waits for a client that takes nothing.
const END_TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_delays_nobody_and_is_cut_off_and_can_resume() {
    let bar = Bar::open(Sqlite).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let mut slow = Raw::open(&bar.url).await;
    let request =
        format!("GET {BOARD} HTTP/1.1\r\nHost: bar\r\nAuthorization: Bearer {}\r\n\r\n", bartender.token());
    slow.send(request.as_bytes()).await;
    let mut received = Vec::new();
    while !String::from_utf8_lossy(&received).contains("\nid: ") {
        assert!(timeout(END_TIMEOUT, slow.more(&mut received)).await.expect("a greeting"));
    }
    let mut events = Events::open(&guest, "/stream", None).await;
    // More than the system holds for a client.
    let filled = Instant::now();
    while filled.elapsed() < Duration::from_secs(6) {
        bar.database.execute(&add_menu_change(&"-".repeat(1024 * 1024))).await;
        let order = guest.order("Negroni").await;
        let event = timeout(Duration::from_secs(5), events.next_named("order")).await.expect("no delay");
        assert_eq!(id(&event), id(&order));
    }
    tokio::time::sleep(Duration::from_secs(25)).await;
    let read = async { while slow.more(&mut received).await {} };
    timeout(END_TIMEOUT, read).await.expect("it was not cut off");
    let received = String::from_utf8_lossy(&received);
    // The last one may be cut off.
    let ids = received
        .rmatch_indices("\nid: ")
        .filter_map(|(at, name)| received[at + name.len()..].split_once('\n'));
    let (last, _) = ids.into_iter().next().expect("an id");
    let mut resumed = Events::open(&bartender, BOARD, Some(last)).await;
    let missed = resumed.next().await.expect("an event");
    assert!(["order", "menu", "reset"].contains(&missed.name.as_str()), "{}", missed.name);
    let order = guest.order("Margarita").await;
    loop {
        if id(&resumed.next_named("order").await) == id(&order) {
            break;
        }
    }
    drop((resumed, events));
    bar.close().await;
}
