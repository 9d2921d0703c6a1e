//! Clients that disconnect during a request leave nothing half done, and nothing open.

use crate::support::{Bar, DatabaseKind, PostgreSql, Sqlite, eventually, person::id, raw::Raw};
use rstest::rstest;
use serde_json::json;

/// More than the database connections and the HTTP threads together.
const LEAVING_CLIENTS: usize = 60;

fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: bar\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Disconnects after this many bytes of a request, by a close or a reset.
async fn leave_after(bar: &Bar, bytes: &[u8], politely: bool) {
    let mut connection = Raw::open(&bar.url).await;
    connection.send(bytes).await;
    if politely {
        connection.hang_up().await;
    } else {
        connection.reset();
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_order_whose_guest_left_all_is_there_or_nothing(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let body =
        json!({ "items": [{ "recipe": "Negroni" }, { "recipe": "Mojito" }], "table": "7" }).to_string();
    let whole = request("POST", "/orders", guest.token(), &body);
    for number in 0..LEAVING_CLIENTS {
        // At any point of the request, and often right after its end.
        let end = whole.len() - (number * 37) % whole.len() * (number % 2);
        leave_after(&bar, &whole[..end], number % 3 == 0).await;
    }
    // As many as threads and connections are needed to see that none of them is stuck.
    for _ in 0..LEAVING_CLIENTS {
        bartender.post("/orders", json!({ "recipe": "Americano" })).await.expect(201);
    }
    let orders = bartender.get("/orders?table=7&limit=100").await.expect(200);
    let orders = orders["orders"].as_array().unwrap();
    assert!(orders.len() <= LEAVING_CLIENTS, "{}", orders.len());
    for order in orders {
        assert_eq!(order["items"].as_array().unwrap().len(), 2, "{order}");
        let history = bartender.get(&format!("/orders/{}/history", id(order))).await.expect(200);
        assert_eq!(history["history"].as_array().unwrap().len(), 1, "{history}");
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bartender_who_leaves_moves_an_order_wholly_or_not_at_all(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    for number in 0..LEAVING_CLIENTS / 2 {
        let order = guest.order("Negroni").await;
        let start = request("POST", &format!("/orders/{}/start", id(&order)), bartender.token(), "");
        leave_after(&bar, &start, number % 2 == 0).await;
        leave_after(&bar, &request("POST", "/orders/next", bartender.token(), ""), number % 3 == 0).await;
    }
    let orders = bartender.get("/orders?limit=100").await.expect(200);
    for order in orders["orders"].as_array().unwrap() {
        // A move of somebody who left may still come between the two questions, once or twice.
        eventually("the history to end where the order stands", async || {
            let history = bartender.get(&format!("/orders/{}/history", id(order))).await.expect(200);
            let moves = history["history"].as_array().unwrap();
            (moves.last().unwrap()["to"] == bartender.sees(order).await.expect(200)["status"]).then_some(())
        })
        .await;
    }
    while bartender.claim().await.is_some() {}
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_and_no_transaction_stays_open() {
    let bar = Bar::open(PostgreSql).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let order = guest.order("Negroni").await;
    // Held by somebody else, so that all who want to move it wait in the middle of a transaction when they leave.
    let client = bar.database.client().await;
    client.batch_execute("BEGIN; SELECT * FROM orders FOR UPDATE").await.unwrap();
    let start = request("POST", &format!("/orders/{}/start", id(&order)), bartender.token(), "");
    let sessions = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    eventually("some to wait for the order", async || {
        // On a busy machine all of them may be gone before one was read: a reset takes back what was sent.
        for _ in 0..LEAVING_CLIENTS {
            leave_after(&bar, &start, false).await;
        }
        let waiting = format!("{sessions} AND wait_event_type = 'Lock'");
        (bar.database.count(&waiting).await > 0).then_some(())
    })
    .await;
    client.batch_execute("ROLLBACK").await.unwrap();
    eventually("every transaction to end", async || {
        let open = format!("{sessions} AND state <> 'idle'");
        (bar.database.count(&open).await == 0).then_some(())
    })
    .await;
    assert!(bar.database.count(sessions).await <= 12, "no more connections than the pool may have");
    let seen = bartender.sees(&order).await.expect(200);
    assert_eq!(seen["status"], "in_progress", "one of those who left had begun");
    bar.close().await;
}
