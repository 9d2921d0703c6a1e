//! Commands of documents in `psql`: copy old orders, then delete them in batches.

use super::{are_here, block, folder, run, shell};
use crate::documents::{documents, quoted, read};
use crate::support::{Bar, PostgreSql, database::Database, executable::Role, person::id};
use serde_json::json;
use std::{fs, path::Path};
use url::Url;

/// Returns the environment variables with which PostgreSQL's programs find a database.
fn variables(database: &Database) -> Vec<(&'static str, String)> {
    let url = Url::parse(&database.url).expect("a URL");
    let word = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    vec![
        ("PGHOST", url.host_str().unwrap_or("127.0.0.1").to_owned()),
        ("PGPORT", url.port().unwrap_or(5432).to_string()),
        ("PGUSER", word(url.username())),
        ("PGPASSWORD", word(url.password().unwrap_or_default())),
        ("PGDATABASE", database.name().to_owned()),
    ]
}

/// Runs commands in this folder, with the database in their environment.
pub async fn beside(database: &Database, folder: &Path, commands: &str) -> String {
    let variables = variables(database);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    run(commands, folder, &variables).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_orders_are_copied_and_then_deleted_until_none_is_left() {
    const COPY_COMMAND: &str =
        r"\copy (SELECT * FROM orders WHERE placed_at < '2025-01-01') TO 'orders.csv' CSV";
    const WATCH_COMMAND: &str = r"\watch 1";
    if !are_here(&["psql"]) {
        return;
    }
    let documents: String = documents().iter().map(read).collect();
    assert!(
        [COPY_COMMAND, WATCH_COMMAND].iter().all(|command| quoted(&documents).any(|span| span == *command))
    );
    let delete = block("DELETE FROM orders USING old").commands;

    let bar = Bar::open(PostgreSql).await;
    let (guest, staff) = (bar.customer().await, bar.employee().await);
    let (old, new) = (guest.order("Negroni").await, guest.order("Margarita").await);
    for order in [&old, &new] {
        let why = json!({ "reason": "It is late." });
        staff.post(&format!("/orders/{}/fail", id(order)), why).await.expect(200);
    }
    let age = format!("UPDATE orders SET placed_at = '2024-06-01' WHERE id = '{}'", id(&old));
    bar.database.client().await.batch_execute(&age).await.expect("UPDATE");

    let (_kept, folder) = folder();
    fs::write(folder.join("copy.sql"), COPY_COMMAND).unwrap();
    beside(&bar.database, &folder, "psql --no-psqlrc --set ON_ERROR_STOP=1 --file copy.sql").await;
    let copied = fs::read_to_string(folder.join("orders.csv")).unwrap();
    assert!(copied.lines().count() == 1 && copied.starts_with(id(&old)), "{copied}");

    fs::write(folder.join("delete.sql"), format!("{delete}\n{WATCH_COMMAND}\n")).unwrap();
    let variables = variables(&bar.database);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let psql = "exec psql --no-psqlrc --set ON_ERROR_STOP=1 --file delete.sql";
    let mut psql = Role::of(shell(psql, &folder, &variables));
    psql.says("DELETE 1").await;
    psql.says("DELETE 0").await;
    psql.kill().await;
    let left = bar.database.count(&format!("orders WHERE id = '{}'", id(&new))).await;
    assert_eq!((left, bar.database.count("orders").await), (1, 1));
    bar.close().await;
}
