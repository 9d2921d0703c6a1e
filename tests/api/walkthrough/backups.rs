//! `docs/maintenance.md`, backups: a restored database has all orders.

use super::{are_here, block, folder, psql::beside, run, shell, with};
use crate::support::{Bar, Person, PostgreSql, database::Database, executable::Role, person::id};
use reqwest::Client;
use serde_json::Value;
use std::path::Path;

/// Starts the embedded deployment in this folder. Returns it, and a stranger at it.
async fn serve(folder: &Path) -> (Role, Person) {
    let mut role = Role::of(shell("exec shakerqueue serve --demo", folder, &[("BIND_ADDR", "127.0.0.1:0")]));
    let url = role.url().await;
    (role, Person::new(&Client::new(), &url, None))
}

/// Returns true if the order is in the guest's list. A request by id could find a missing order in a broker.
async fn finds(guest: &Person, order: &Value) -> bool {
    let list = guest.get("/orders").await.expect(200);
    list["orders"].as_array().expect("orders").iter().any(|found| id(found) == id(order))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_sqlite_file_in_use_is_put_back() {
    if !are_here(&["sqlite3"]) {
        return;
    }
    let (_kept, folder) = folder();
    let (role, stranger) = serve(&folder).await;
    let guest = stranger.sign_in("user@example.com").await;
    let before = guest.order("Margarita").await;
    run(&block(".backup copy.db").commands, &folder, &[]).await;
    let after = guest.order("Negroni").await;
    role.stop().await;

    run(&block("rm -f shakerqueue.db-wal").commands, &folder, &[]).await;
    // Its secret was kept, so the token still counts.
    let (role, stranger) = serve(&folder).await;
    let guest = stranger.signed_in(guest.token());
    assert!(finds(&guest, &before).await, "what was there is back");
    assert!(!finds(&guest, &after).await, "what came later is not");
    guest.order("Negroni").await;
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_of_postgresql_is_put_into_a_new_database() {
    if !are_here(&["pg_dump", "psql", "createdb"]) {
        return;
    }
    let (_kept, folder) = folder();
    let bar = Bar::open(PostgreSql).await;
    let before = bar.customer().await.order("Margarita").await;
    let dump = block("pg_dump").commands;
    let dump = with(&dump, "--dbname shakerqueue ", &format!("--dbname {} ", bar.database.name()));
    beside(&bar.database, &folder, &dump).await;
    let after = bar.customer().await.order("Negroni").await;

    let copy = Database::reserved();
    let restore = with(&block("createdb").commands, "restored", copy.name());
    beside(&bar.database, &folder, &restore).await;
    bar.close().await;
    let restored = Bar::open_on(copy, &[]).await;
    let guest = restored.customer().await;
    assert!(finds(&guest, &before).await, "what was there is back");
    assert!(!finds(&guest, &after).await, "what came later is not");
    restored.employee().await.ask("/orders/next").await.expect(200);
    guest.order("Negroni").await;
    restored.close().await;
}
