//! The audit trail: who changed what.

mod append_only;
mod atomic;
mod entries;
mod list;

use crate::support::{Bar, Person, database::Database};
use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
use serde_json::{Value, json};

/// Returns the entries that match a filter, newest first.
async fn entries(admin: &Person, filter: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/audit?limit=100&{filter}&cursor={cursor}")).await.expect(200);
        all.extend(page["entries"].as_array().expect("entries").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
    }
}

/// Returns the only entry that matches a filter.
#[track_caller]
fn only(entries: Vec<Value>) -> Value {
    assert_eq!(entries.len(), 1, "{entries:#?}");
    entries.into_iter().next().expect("one")
}

/// Returns the changes of an entry, each as `[field, before, after]`.
fn changes(entry: &Value) -> Value {
    let changes = entry["changes"].as_array().expect("changes").iter();
    changes.map(|change| json!([change["field"], change["before"], change["after"]])).collect()
}

/// Runs statements directly in the database, as an operator might.
pub async fn sql(database: &Database, statements: &str) -> Result<(), String> {
    if let Some(file) = database.url.strip_prefix("sqlite://") {
        let mut conn = SqliteConnection::establish(file).expect("the file");
        conn.batch_execute("PRAGMA busy_timeout = 5000").expect("a setting");
        return conn.batch_execute(statements).map_err(|error| error.to_string());
    }
    let done = database.client().await.batch_execute(statements).await;
    done.map_err(|error| error.as_db_error().expect("the server's answer").message().to_owned())
}

pub fn is_sqlite(bar: &Bar) -> bool {
    bar.database.url.starts_with("sqlite")
}

fn water() -> Value {
    json!({
        "name": "Water", "build": "built", "glass": "highball", "method": "Pour.",
        "ingredients": [{ "name": "water", "amount": 200, "unit": "ml" }],
    })
}
