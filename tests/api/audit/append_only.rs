//! The audit trail is append-only, also for roles that may write to the database.

use super::{entries, is_sqlite, sql};
use crate::documents::commands::block;
use crate::support::{Bar, DatabaseKind, Person, PostgreSql, Sqlite, person::id};
use rstest::rstest;

/// Opens a bar and makes a change. Returns the bar, its admin, and the audit trail.
async fn changed(bar: &Bar) -> (Person, Vec<serde_json::Value>) {
    let (admin, staff) = (bar.admin().await, bar.employee().await);
    let order = bar.customer().await.order("Negroni").await;
    staff.moves(&order, "start").await.expect(200);
    let trail = entries(&admin, "").await;
    assert!(trail.iter().any(|entry| entry["subject"]["id"] == id(&order)), "{trail:#?}");
    (admin, trail)
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_changes_or_deletes_an_entry(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (admin, before) = changed(&bar).await;
    let id =
        before.iter().find(|entry| entry["action"] == "account_seeded").map(id).unwrap().replace('-', "");
    let id = if is_sqlite(&bar) { format!("x'{id}'") } else { format!("'{id}'") };
    let mut statements = vec![
        "UPDATE audit_entries SET actor_id = NULL".to_owned(),
        format!("UPDATE audit_entries SET action = 'recipe_added' WHERE id = {id}"),
        "DELETE FROM audit_entries".to_owned(),
        format!("DELETE FROM audit_entries WHERE id = {id}"),
        "UPDATE order_moves SET to_status = 'ready' WHERE from_status <> 'queued'".to_owned(),
    ];
    let row = format!(
        "INTO audit_entries (id, at, action, subject_kind, subject_id, changes) VALUES ({id}, '2026-11-22 15:00:00+00:00', 'recipe_added', 'recipe', {id}, '[]')"
    );
    if is_sqlite(&bar) {
        statements.push(format!("INSERT OR REPLACE {row}"));
        statements.push(format!("INSERT {row} ON CONFLICT DO UPDATE SET action = 'recipe_added'"));
        let other =
            row.replace("(id,", "(rowid, id,").replace(&format!("VALUES ({id},"), "VALUES (1, x'00',");
        statements.push(format!("INSERT OR REPLACE {other}"));
    } else {
        statements.push("TRUNCATE audit_entries".to_owned());
        statements.push("TRUNCATE audit_entries CASCADE".to_owned());
        statements.push(format!("INSERT {row} ON CONFLICT (id) DO UPDATE SET action = 'recipe_added'"));
    }
    for statement in &statements {
        let refusal = sql(&bar.database, statement).await.expect_err(statement);
        assert!(refusal.contains("is append-only"), "{statement}: {refusal}");
    }
    assert_eq!(entries(&admin, "").await, before);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrating_again_puts_back_what_was_taken_away(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (admin, before) = changed(&bar).await;
    let on = if is_sqlite(&bar) { "" } else { " ON audit_entries" };
    sql(&bar.database, &format!("DROP TRIGGER audit_entries_stay{on}")).await.unwrap();
    let store = bar.database.store();
    store.migrate().await.unwrap();
    store.close();
    sql(&bar.database, "UPDATE audit_entries SET actor_id = NULL").await.expect_err("refused");
    assert_eq!(entries(&admin, "").await, before);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_entries_are_deleted_as_documented(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (admin, before) = changed(&bar).await;
    let old = |n: u32| {
        let at = format!("2019-01-0{n} 12:00:00.000000+00:00");
        let id = format!("0000000000007000800000000000000{n}");
        let id = if is_sqlite(&bar) { format!("x'{id}'") } else { format!("'{id}'") };
        format!(
            "INSERT INTO audit_entries (id, at, action, subject_kind, subject_id, changes) VALUES ({id}, '{at}', 'recipe_archived', 'recipe', {id}, '[]');"
        )
    };
    sql(&bar.database, &(1..=3).map(old).collect::<String>()).await.unwrap();
    assert_eq!(entries(&admin, "until=2020-01-01T00:00:00Z").await.len(), 3);

    let delete = match database {
        Sqlite => block("DROP TRIGGER audit_entries_remain"),
        PostgreSql => block("DISABLE TRIGGER audit_entries_stay"),
    };
    sql(&bar.database, &delete.commands).await.unwrap();
    assert_eq!(entries(&admin, "").await, before);
    sql(&bar.database, "DELETE FROM audit_entries").await.expect_err("refused as before");
    assert_eq!(entries(&admin, "").await, before);
    bar.close().await;
}
