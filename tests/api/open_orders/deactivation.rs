//! A deactivated account has no order on the board.

use super::{Bar, Database, fills_up, limited, regular, regular_token};
use crate::support::{
    DatabaseKind, Person, PostgreSql, Sqlite, eventually, installation::Installation, person::id,
};
use rstest::rstest;
use serde_json::{Value, json};
use shakerqueue::{
    domain::{
        ids::{OrderId, UserId},
        now,
        order::{Drink, NewOrder, OrderLine, Quantity},
    },
    services::orders::recorder::record_batch,
    store::recipes,
};
use std::sync::Arc;

async fn customer_id(guest: &Person) -> String {
    id(&guest.get("/me").await.expect(200)).to_owned()
}

/// Returns the number of transitions of an order, and the last one.
async fn last_move(staff: &Person, order: &str) -> (usize, Value) {
    let history = staff.get(&format!("/orders/{order}/history")).await.expect(200);
    let moves = history["history"].as_array().unwrap();
    (moves.len(), moves.last().unwrap().clone())
}

/// Records orders of this customer, placed by `by`, as a worker does.
async fn store_late(database: &Database, customer: &str, by: &str, many: usize) -> Vec<OrderId> {
    let store = database.store();
    let menu = store.read(async |conn| recipes::menu(conn).await).await.unwrap();
    let drink = Drink { id: menu[0].id, name: menu[0].spec.name.clone() };
    let order = || NewOrder {
        id: OrderId::new_v7(),
        customer_id: UserId(customer.parse().unwrap()),
        placed_by: UserId(by.parse().unwrap()),
        lines: vec![OrderLine { recipe: drink.clone(), quantity: Quantity::ONE, note: None }],
        table: None,
        note: None,
        priority: 1,
        due_at: now(),
        placed_at: now(),
    };
    let batch: Vec<NewOrder> = (0..many).map(|_| order()).collect();
    let ids = batch.iter().map(|order| order.id).collect();
    for part in batch.chunks(500) {
        record_batch(&store, Arc::from(part)).await;
    }
    store.close();
    ids
}

async fn pending(staff: &Person, customer: &str) -> usize {
    let list = format!("/orders?status=pending&customer={customer}&limit=100");
    staff.get(&list).await.expect(200)["orders"].as_array().unwrap().len()
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_takes_its_pending_orders_with_it(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = limited(database, &[]).await;
    let (guest, other, bartender, admin) =
        (regular(&bar).await, regular(&bar).await, bar.employee().await, bar.admin().await);
    let (who, by) = (customer_id(&guest).await, customer_id(&admin).await);
    let placed = fills_up(&guest).await;
    let spared = other.order("Negroni").await;
    bartender.moves(&placed[0], "start").await.expect(200);
    admin.patch(&format!("/users/{who}"), json!({ "active": false })).await.expect(200);
    // At once: it is one transaction.
    assert_eq!(bartender.sees(&placed[0]).await.expect(200)["status"], "in_progress", "somebody works on it");
    for order in &placed[1..] {
        assert_eq!(bartender.sees(order).await.expect(200)["status"], "cancelled");
        let (moves, last) = last_move(&bartender, id(order)).await;
        assert_eq!(
            (moves, last["by"].as_str(), last["reason"].as_str()),
            (2, Some(by.as_str()), Some("The account was switched off."))
        );
    }
    assert_eq!(bartender.sees(&spared).await.expect(200)["status"], "pending");
    let entries = admin.get(&format!("/audit?action=order_moved&actor={by}&limit=100")).await.expect(200);
    assert_eq!(entries["entries"].as_array().unwrap().len(), 9, "{entries}");
    // What staff bring back stays.
    bartender.moves(&placed[1], "undo").await.expect(200);
    let late = store_late(&bar.database, &who, &who, 1).await;
    eventually("a late order to be cancelled", async || {
        (last_move(&bartender, &late[0].to_string()).await.1["to"] == "cancelled").then_some(())
    })
    .await;
    assert_eq!(bartender.sees(&placed[1]).await.expect(200)["status"], "pending");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_afterwards_is_cancelled(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = limited(database, &[]).await;
    let (guest, bartender, admin) = (regular(&bar).await, bar.employee().await, bar.admin().await);
    let (who, by, staff) =
        (customer_id(&guest).await, customer_id(&admin).await, customer_id(&bartender).await);
    admin.patch(&format!("/users/{who}"), json!({ "active": false })).await.expect(200);
    let late = store_late(&bar.database, &who, &who, 3).await;
    // What staff placed for it afterwards, they mean so.
    let meant = json!({ "id": store_late(&bar.database, &who, &staff, 1).await[0].to_string() });
    for order in late {
        let last = eventually("it to be cancelled", async || {
            let (_, last) = last_move(&bartender, &order.to_string()).await;
            (last["to"] == "cancelled").then_some(last)
        })
        .await;
        assert_eq!((&last["by"], &last["reason"]), (&json!(by), &json!("The account was switched off.")));
    }
    assert_eq!(bartender.sees(&meant).await.expect(200)["status"], "pending");
    // Once it is switched on again, its orders stay.
    admin.patch(&format!("/users/{who}"), json!({ "active": true })).await.expect(200);
    let stays = store_late(&bar.database, &who, &staff, 1).await;
    assert_eq!(bartender.get(&format!("/orders/{}", stays[0])).await.expect(200)["status"], "pending");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_have_filled_the_board(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = limited(database, &[]).await;
    let (guest, bartender, admin) = (regular(&bar).await, bar.employee().await, bar.admin().await);
    let who = customer_id(&guest).await;
    store_late(&bar.database, &who, &who, 1200).await;
    assert_eq!(pending(&bartender, &who).await, 100, "of a page");
    admin.patch(&format!("/users/{who}"), json!({ "active": false })).await.expect(200);
    assert_eq!(pending(&bartender, &who).await, 0);
    // Again, by staff, at once.
    admin.patch(&format!("/users/{who}"), json!({ "active": true })).await.expect(200);
    store_late(&bar.database, &who, &who, 1200).await;
    let answer = bartender.post("/orders/cancel", json!({ "customer_id": who })).await.expect(200);
    assert_eq!(answer["cancelled"], 1200);
    assert_eq!(pending(&bartender, &who).await, 0);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_it_its_orders_stay() {
    let bar: Bar = limited(PostgreSql, &[]).await;
    let (guest, bartender, admin) = (regular(&bar).await, bar.employee().await, bar.admin().await);
    let who = customer_id(&guest).await;
    let order = guest.order("Negroni").await;
    // The entry about the account is written last.
    let fault = "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fault'; END $$;
        CREATE TRIGGER fault BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION fault()";
    bar.database.client().await.batch_execute(fault).await.unwrap();
    let answer = admin.patch(&format!("/users/{who}"), json!({ "active": false })).await;
    assert!(answer.status >= 500, "{answer:?}");
    assert_eq!(bartender.sees(&order).await.expect(200)["status"], "pending");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_queued_then_is_cancelled_once_it_is_stored() {
    let bar = Installation::new().await;
    let ((here, url), (there, _)) = tokio::join!(bar.serve(), bar.serve());
    let guest = Person::new(&bar.http, &url, Some(&regular_token(&bar.database).await));
    let (bartender, admin) =
        (bar.sign_in(&url, "employee@example.com").await, bar.sign_in(&url, "admin@example.com").await);
    let who = customer_id(&guest).await;
    for _ in 0..3 {
        guest.post("/orders", json!({ "recipe": "Negroni" })).await.expect(202);
    }
    admin.patch(&format!("/users/{who}"), json!({ "active": false })).await.expect(200);
    let worker = bar.work().await;
    eventually("all to be cancelled", async || {
        (bar.database.count("orders WHERE status = 'cancelled' AND version = 2").await == 3).then_some(())
    })
    .await;
    assert_eq!(pending(&bartender, &who).await, 0);
    for role in [here, there, worker] {
        role.stop().await;
    }
    bar.prefix.clear().await;
}
