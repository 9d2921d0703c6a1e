//! More logins at once than passwords can be hashed.

use crate::support::{Bar, Sqlite, database::Database};
use futures_util::future::join_all;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_logins_is_told_to_come_again_and_orders_are_taken() {
    let bar = Bar::open_on(Database::new(Sqlite).await, &["--bcrypt-cost", "8"]).await;
    let guest = bar.guest().await;
    let stranger = bar.stranger();
    let logins = (0..300).map(|number| {
        let login = json!({ "email": format!("nobody{number}@example.com"), "password": "password123" });
        stranger.post("/login", login)
    });
    let storm = join_all(logins);
    let orders = join_all((0..10).map(|_| guest.post("/orders", json!({ "recipe": "Negroni" }))));
    let (answers, orders) = tokio::join!(storm, orders);
    for order in orders {
        order.expect(201);
    }
    let (mut looked_at, mut told) = (0, 0);
    for answer in answers {
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some());
            answer.expect_problem(503, "unavailable");
            told += 1;
        } else {
            answer.expect_problem(401, "wrong-password");
            looked_at += 1;
        }
    }
    assert!(looked_at > 0 && told > 0, "{looked_at} were looked at, {told} told to come again");
    bar.guest().await.get("/me").await.expect(200);
}
