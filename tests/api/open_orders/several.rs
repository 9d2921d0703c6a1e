//! Several `serve`, a broker, and a database that is away.

use super::{fills_up, limited, orders, orders_again, regular, regular_token};
use crate::support::{Person, PostgreSql, eventually, installation::Installation};
use futures_util::future::join_all;
use serde_json::json;

/// Places several orders at once, and returns how many were accepted.
async fn bursts(guest: &Person, orders_at_once: usize) -> usize {
    let answers = join_all((0..orders_at_once).map(|_| orders(guest, 1))).await;
    let accepted = |status: u16| [201, 202].contains(&status);
    for answer in &answers {
        assert!(accepted(answer.status) || answer.body["type"] == "/problems/too-many-open", "{answer:?}");
    }
    answers.iter().filter(|answer| accepted(answer.status)).count()
}

/// Places orders at each `serve` until all refuse, and returns how many were accepted.
async fn fills_all(guests: &[Person]) -> usize {
    let mut accepted = 0;
    let mut refused = 0;
    eventually("every serve to refuse", async || {
        let mut now = 0;
        for guest in guests {
            now += bursts(guest, 3).await;
        }
        accepted += now;
        refused = if now == 0 { refused + 1 } else { 0 };
        // Longer than a second.
        (refused > 75).then_some(())
    })
    .await;
    accepted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_at_two_serves_gets_in_as_often_as_is_allowed_at_each() {
    let bar = limited(PostgreSql, &[]).await;
    let other = crate::support::Bar::open_on(bar.database.lent(), &["--open-orders", "10"]).await;
    let here = regular(&bar).await;
    let there = here.at(&other.url);
    let (first, second) = tokio::join!(bursts(&here, 40), bursts(&there, 40));
    assert!(first <= 10 && second <= 10, "{first} and {second}");
    let later = fills_all(&[here.clone(), there.clone()]).await;
    let placed = bar.database.count("orders").await;
    assert_eq!(usize::try_from(placed).unwrap(), first + second + later);
    assert!((10..=20).contains(&placed), "{placed} orders at two serves");
    other.close().await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_after_the_other_a_guest_has_no_more_at_two_serves_than_at_one() {
    let bar = limited(PostgreSql, &[]).await;
    let other = crate::support::Bar::open_on(bar.database.lent(), &["--open-orders", "10"]).await;
    let here = regular(&bar).await;
    let there = here.at(&other.url);
    fills_up(&here).await;
    // It asks about a guest once they ordered there: until it knows more, it takes what it would take of anybody.
    let more = fills_all(std::slice::from_ref(&there)).await;
    assert!((1..=10).contains(&more), "{more} more");
    other.close().await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_the_queue_is_open() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve_with(&[("OPEN_ORDERS", "10")]).await;
    let guest = Person::new(&bar.http, &url, Some(&regular_token(&bar.database).await));
    let placed = fills_up(&guest).await;
    // Also after the database said that it has none of them.
    assert_eq!(fills_all(std::slice::from_ref(&guest)).await, 0);
    let worker = bar.work().await;
    let bartender = bar.sign_in(&url, "employee@example.com").await;
    eventually("ten orders on the board", async || {
        let board = bartender.get("/orders?status=pending").await.expect(200);
        (board["orders"].as_array().unwrap().len() == placed.len()).then_some(())
    })
    .await;
    orders(&guest, 1).await.expect_problem(409, "too-many-open");
    let order = bartender.claim().await.expect("an order");
    bartender.moves(&order, "ready").await.expect(200);
    orders_again(&guest).await;
    for role in [serve, worker] {
        role.stop().await;
    }
    bar.prefix.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_database_can_not_say_a_guest_may_order() {
    let bar = Installation::new().await;
    let (serve, url) = bar.serve_with(&[("OPEN_ORDERS", "10")]).await;
    let worker = bar.work().await;
    let guest = Person::new(&bar.http, &url, Some(&regular_token(&bar.database).await));
    fills_up(&guest).await;
    eventually("ten orders on the board", async || (bar.database.count("orders").await == 10).then_some(()))
        .await;
    // Until the database has shown them all, they count because they were accepted here.
    assert_eq!(fills_all(std::slice::from_ref(&guest)).await, 0);
    bar.database.take_down().await;
    orders_again(&guest).await;
    // What is accepted here counts still: as often as is allowed, and no more.
    let more = fills_all(std::slice::from_ref(&guest)).await;
    assert_eq!(more, 9);
    bar.database.bring_back().await;
    let bartender = eventually("the database to be back", async || {
        let who = json!({ "email": "employee@example.com", "password": "password123" });
        let answer = Person::new(&bar.http, &url, None).post("/login", who).await;
        (answer.status == 200).then(|| Person::new(&bar.http, &url, answer.body["token"].as_str()))
    })
    .await;
    eventually("all orders on the board", async || {
        let board = bartender.get("/orders?status=pending&limit=100").await;
        (board.status == 200 && board.body["orders"].as_array().unwrap().len() == 20).then_some(())
    })
    .await;
    for role in [serve, worker] {
        role.stop().await;
    }
    bar.prefix.clear().await;
}
