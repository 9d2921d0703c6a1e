//! There is no entry without its change, and no change without its entry.

use super::{entries, is_sqlite, sql, water};
use crate::{
    dead_letters::keep,
    support::{Bar, DatabaseKind, PostgreSql, Sqlite, person::id},
};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

/// Makes the database fail on inserts into a table, or updates of it.
async fn break_it(bar: &crate::support::Bar, when: &str, table: &str) {
    let trigger = if is_sqlite(bar) {
        format!("CREATE TRIGGER fault BEFORE {when} ON {table} BEGIN SELECT RAISE(ABORT, 'fault'); END")
    } else {
        format!(
            "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fault'; END $$;
             CREATE TRIGGER fault BEFORE {when} ON {table} FOR EACH ROW EXECUTE FUNCTION fault()"
        )
    };
    sql(&bar.database, &trigger).await.unwrap();
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_leaves_no_entry(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (admin, staff, guest) = (bar.admin().await, bar.employee().await, bar.guest().await);
    let admins_id = admin.get("/me").await.expect(200)["id"].clone();
    let order = guest.order("Negroni").await;
    let store = bar.database.store();
    let letter = keep(&store, None, b"rubbish".to_vec()).await;
    store.close();
    let before = entries(&admin, "").await.first().cloned();
    let nobody = Uuid::now_v7();

    admin
        .patch(&format!("/users/{}", admins_id.as_str().unwrap()), json!({ "active": false }))
        .await
        .expect(409);
    admin.patch(&format!("/users/{nobody}"), json!({ "active": false })).await.expect(404);
    let passwords = json!({ "current_password": "wrong", "new_password": "x9#kR4wz" });
    guest.put("/me/password", passwords).await.expect(403);
    let taken = json!({ "username": "Ana", "email": "user@example.com", "password": "q7#fL2vx" });
    bar.stranger().post("/register", taken).await.expect(409);
    let mut negroni = water();
    negroni["name"] = json!("Negroni");
    staff.post("/recipes", negroni.clone()).await.expect(409);
    staff.put("/recipes/Margarita", negroni.clone()).await.expect(409);
    guest.post("/recipes", water()).await.expect(403);
    staff.put(&format!("/recipes/{nobody}"), negroni).await.expect(404);
    staff.put(&format!("/recipes/{nobody}/availability"), json!({ "available": false })).await.expect(404);
    staff.delete(&format!("/recipes/{nobody}")).await.expect(404);
    staff.moves(&order, "complete").await.expect(409);
    admin.ask(&format!("{letter}/replay")).await.expect(409);
    admin.delete(&format!("/dead-letters/{nobody}")).await.expect(404);

    assert_eq!(entries(&admin, "").await.first().cloned(), before);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_fails_takes_its_entry_with_it(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (admin, staff) = (bar.admin().await, bar.employee().await);
    let recipe = staff.get("/recipes/Negroni").await.expect(200);
    let archived = format!("action=recipe_archived&subject_id={}", id(&recipe));
    // The entry is written first.
    break_it(&bar, "UPDATE", "recipes").await;
    let answer = staff.delete("/recipes/Negroni").await;
    assert!(answer.status >= 500, "{answer:?}");
    assert!(entries(&admin, &archived).await.is_empty());
    sql(&bar.database, if is_sqlite(&bar) { "DROP TRIGGER fault" } else { "DROP TRIGGER fault ON recipes" })
        .await
        .unwrap();
    staff.delete("/recipes/Negroni").await.expect(204);
    assert_eq!(entries(&admin, &archived).await.len(), 1);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_entry_there_is_no_change(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (admin, staff, guest) = (bar.admin().await, bar.employee().await, bar.guest().await);
    let me = guest.get("/me").await.expect(200);
    let store = bar.database.store();
    let letter = keep(&store, None, b"rubbish".to_vec()).await;
    store.close();
    break_it(&bar, "INSERT", "audit_entries").await;
    let passwords = json!({ "current_password": "a good password", "new_password": "x9#kR4wz" });
    let account = json!({ "username": "Ana", "email": "ana@bar.example", "password": "q7#fL2vx" });
    for answer in [
        admin.patch(&format!("/users/{}", id(&me)), json!({ "role": "admin" })).await,
        admin.patch(&format!("/users/{}", id(&me)), json!({ "active": false })).await,
        guest.put("/me/password", passwords).await,
        bar.stranger().post("/register", account).await,
        staff.post("/recipes", water()).await,
        staff.put("/recipes/Margarita", water()).await,
        staff.put("/recipes/Negroni/availability", json!({ "available": false })).await,
        staff.delete("/recipes/Negroni").await,
        admin.delete(&letter).await,
    ] {
        assert!(answer.status >= 500, "{answer:?}");
    }
    assert_eq!(guest.get("/me").await.expect(200), me);
    let login = json!({ "email": me["email"], "password": "a good password" });
    bar.stranger().post("/login", login).await.expect(200);
    bar.stranger()
        .post("/login", json!({ "email": "ana@bar.example", "password": "q7#fL2vx" }))
        .await
        .expect(401);
    assert_eq!(guest.get("/recipes/Negroni").await.expect(200)["available"], true);
    guest.get("/recipes/Margarita").await.expect(200);
    guest.get("/recipes/Water").await.expect(404);
    assert_eq!(admin.get(&letter).await.expect(200)["resolution"], Value::Null);
    bar.close().await;
}
