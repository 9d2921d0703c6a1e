//! Boards, the orders that none of them has shown, and the list of running processes.

use crate::support::{
    Bar,
    database::{
        Database,
        DatabaseKind::{self, PostgreSql, Sqlite},
    },
    events::Events,
    eventually,
    person::id,
};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_no_open_board_has_shown_is_told_to_staff_and_to_its_guest(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open_on(Database::new(database).await, &["--unseen-seconds", "1"]).await;
    let (guest, other, bartender) = (bar.guest().await, bar.guest().await, bar.employee().await);
    let board = Uuid::new_v4();
    let mut screen = Events::open(&bartender, &format!("/stream?board={board}"), None).await;
    let seen = format!("/boards/{board}/seen");
    let cursor = screen.next_id().await;
    bartender.post(&seen, json!({ "cursor": cursor, "shown_until": null })).await.expect(204);

    let mut own = Events::open(&guest, "/stream", None).await;
    let mut others = Events::open(&other, "/stream", None).await;
    let order = guest.order("Negroni").await;
    let unseen = json!({ "orders": [id(&order)] });
    assert_eq!(screen.next_named("unseen").await, unseen);
    assert_eq!(own.next_named("unseen").await, unseen);

    // Everything up to now, as soon as that includes the order for certain.
    let reported = eventually("an empty list", async || {
        let event = screen.next().await.expect("an event");
        if let Some(cursor) = &screen.id {
            bartender.post(&seen, json!({ "cursor": cursor })).await.expect(204);
        }
        (event.name == "unseen").then_some(event.data)
    });
    assert_eq!(reported.await, json!({ "orders": [] }));
    let foreign = other.order("Mojito").await;
    assert_eq!(
        id(&others.next_named("order").await),
        id(&foreign),
        "no word of other people's orders before"
    );
    drop((screen, own, others));
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_report_of_a_board_is_refused(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let path = format!("/boards/{}/seen", Uuid::new_v4());
    for cursor in ["rubbish", "other.1795710146.731:733:731", "other.99999999999999999999.1"] {
        bartender.post(&path, json!({ "cursor": cursor })).await.expect_problem(409, "other-feed");
    }
    let problem = bartender.post(&path, json!({ "cursor": "" })).await.expect_problem(422, "invalid");
    assert!(problem.to_string().contains("cursor"), "{problem}");
    bartender.post(&path, json!({})).await.expect_problem(422, "invalid");
    bartender.post("/boards/bar/seen", json!({ "cursor": "x" })).await.expect_problem(404, "not-found");
    guest.post(&path, json!({ "cursor": "x" })).await.expect_problem(403, "not-permitted");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_processes_are_listed_until_they_stop() {
    let bar = Bar::open(PostgreSql).await;
    let admin = bar.admin().await;
    let listed = async || -> Vec<Value> {
        admin.get("/instances").await.expect(200)["instances"].as_array().expect("a list").clone()
    };
    let another = bar.another().await;
    let both =
        eventually("two processes", async || Some(listed().await).filter(|listed| listed.len() == 2)).await;
    for instance in &both {
        assert_eq!(instance["role"], "serve");
        assert_eq!(instance["version"], env!("CARGO_PKG_VERSION"));
    }
    another.close().await;
    let left: Vec<_> = listed().await.iter().map(|instance| instance["id"].clone()).collect();
    assert_eq!(left, [both[0]["id"].clone()], "the one that stopped is gone");
    bar.employee().await.get("/instances").await.expect_problem(403, "not-permitted");
    bar.close().await;
}
