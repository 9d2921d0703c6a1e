//! Concurrent requests at several instances: one wins, and nothing happens twice.

use crate::support::{
    Bar, DatabaseKind, Person, PostgreSql, Sqlite, eventually,
    installation::Installation,
    person::{Answer, id, send},
};
use futures_util::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::HashSet;

async fn keyed(guest: &Person, key: &str, order: &Value) -> Answer {
    send(guest.request(Method::POST, "/orders").header("Idempotency-Key", key).json(order)).await
}

/// Returns the transitions of an order, after a check that they are numbered without gaps and follow from each other.
pub async fn contiguous(person: &Person, order: &Value) -> Vec<Value> {
    let history = person.get(&format!("/orders/{}/history", id(order))).await.expect(200);
    let moves = history["history"].as_array().unwrap().clone();
    for (at, made) in moves.iter().enumerate() {
        assert_eq!(made["number"], at + 1, "{moves:?}");
        assert!(at == 0 || made["from"] == moves[at - 1]["to"], "{moves:?}");
    }
    moves
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_bartenders_who_start_one_order_one_has_it(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let order = guest.order("Negroni").await;
    let answers = join_all((0..50).map(|_| bartender.moves(&order, "start"))).await;
    let winners = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(winners, 1);
    for loser in answers.into_iter().filter(|answer| answer.status != 200) {
        assert_eq!(loser.expect_problem(409, "illegal-move")["order"]["status"], "in_progress");
    }
    assert_eq!(contiguous(&bartender, &order).await.len(), 2);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undo_against_complete_has_one_winner(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    for _ in 0..10 {
        let order = guest.order("Negroni").await;
        bartender.moves(&order, "start").await.expect(200);
        bartender.moves(&order, "ready").await.expect(200);
        let (undone, completed) =
            tokio::join!(bartender.moves(&order, "undo"), bartender.moves(&order, "complete"));
        let now = bartender.sees(&order).await.expect(200);
        let moves = contiguous(&bartender, &order).await;
        match (undone.status, completed.status) {
            // Undone, and what is in progress can't be completed.
            (200, 409) => assert_eq!((&now["status"], moves.len()), (&json!("in_progress"), 4)),
            // Completed, and the undoing came too late for what it had seen, or undid the completion after it.
            (409, 200) => assert_eq!((&now["status"], moves.len()), (&json!("completed"), 4)),
            (200, 200) => assert_eq!((&now["status"], moves.len()), (&json!("ready"), 5)),
            other => panic!("{other:?}: {now}"),
        }
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_at_two_instances_is_one_order_and_another_order_under_it_a_conflict() {
    let bar = Installation::new().await;
    let ((here, here_url), (there, there_url)) = tokio::join!(bar.serve(), bar.serve());
    let worker = bar.work().await;
    let guest = bar.sign_in(&here_url, "user@example.com").await;
    let urls = [&here_url, &there_url];
    let negroni = json!({ "recipe": "Negroni" });
    let asking: Vec<_> = (0..100)
        .map(|number| {
            let (guest, negroni) = (guest.at(urls[number % 2]), negroni.clone());
            tokio::spawn(async move { keyed(&guest, "round 1", &negroni).await })
        })
        .collect();
    let mut orders = HashSet::new();
    for answer in asking {
        // 201 where the instance has not taken it before, and it is stored by then.
        let answer = answer.await.unwrap();
        assert!([201, 202].contains(&answer.status), "answered {}: {}", answer.status, answer.body);
        orders.insert(id(&answer.body).to_owned());
    }
    assert_eq!(orders.len(), 1);
    let mojito = json!({ "recipe": "Mojito" });
    for url in urls {
        keyed(&guest.at(url), "round 1", &mojito).await.expect_problem(422, "idempotency-key-reused");
    }

    // Whatever an instance knows of what another took a moment ago: one is kept, and of the other there is no dead letter.
    let first = keyed(&guest, "round 2", &negroni).await.expect(202);
    let second = keyed(&guest.at(&there_url), "round 2", &mojito).await;
    assert!([202, 422].contains(&second.status), "answered {}: {}", second.status, second.body);
    eventually("the orders to be stored, and nothing to wait", async || {
        let stored = guest.sees(&first).await.expect(200)["status"] == "pending";
        (stored && bar.prefix.waiting().await == 0).then_some(())
    })
    .await;
    assert_eq!(bar.database.count("dead_letters").await, 0);
    assert_eq!(bar.database.count("orders").await, 2);

    for role in [worker, here, there] {
        role.stop().await;
    }
    bar.prefix.clear().await;
}
