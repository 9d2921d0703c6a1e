//! Bare batch inserts into SQLite, as durable as the product's: each commit reaches the disk.

use super::{BATCH, Row, each, rows};
use crate::{
    harness::{Result, roles::command, wait::PATIENCE},
    stage::Stage,
};
use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_query,
    sql_types::{Binary, Text},
};
use std::time::Instant;
use tokio::{task::spawn_blocking, time::timeout};
use uuid::Uuid;

const SETUP: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
const ORDER: &str = "
    INSERT INTO orders (id, customer_id, placed_by, table_name, status, priority, due_at, placed_at, recorded_at, updated_at,
                        version, fingerprint)
    VALUES (?1, ?2, ?2, ?3, 'pending', 2, ?4, ?5, ?5, ?5, 1, ?6)";
const LINE: &str = "
    INSERT INTO order_lines (order_id, position, recipe_id, recipe_name, quantity) VALUES (?1, 1, ?2, ?3, 1)";
const MOVE: &str = "
    INSERT INTO order_moves (order_id, number, from_status, to_status, actor_id, moved_at)
    VALUES (?1, 1, 'queued', 'pending', ?2, ?3)";

#[derive(QueryableByName)]
struct Drink {
    #[diesel(sql_type = Binary)]
    id: Vec<u8>,
    #[diesel(sql_type = Text)]
    name: String,
}

/// What one stored order costs, of so many.
pub async fn cost(stage: &Stage, count: usize) -> Result<f64> {
    let file = stage.folder.join(format!("bare-{}.db", stage.number())).display().to_string();
    let mut seed = command(&["seed"], &[("DATABASE_URL".to_owned(), format!("sqlite://{file}"))]);
    if !timeout(PATIENCE, seed.output()).await??.status.success() {
        return Err("seed failed".into());
    }
    spawn_blocking(move || insert_all(&file, count)).await?
}

fn insert_all(file: &str, count: usize) -> Result<f64> {
    let mut conn = SqliteConnection::establish(file)?;
    conn.batch_execute(SETUP)?;
    let customer: Drink =
        sql_query("SELECT id, username AS name FROM users WHERE role = 'customer'").get_result(&mut conn)?;
    let drinks: Vec<Drink> = sql_query("SELECT id, name FROM recipes").load(&mut conn)?;
    let drinks: Vec<(Uuid, String)> = drinks
        .into_iter()
        .map(|drink| Ok((Uuid::from_slice(&drink.id)?, drink.name)))
        .collect::<Result<_>>()?;
    let rows = rows(count, Uuid::from_slice(&customer.id)?, &drinks);
    let begun = Instant::now();
    for batch in rows.chunks(BATCH) {
        conn.immediate_transaction(|conn| batch.iter().try_for_each(|row| insert(conn, row)))?;
    }
    Ok(each(begun.elapsed(), rows.len()))
}

fn insert(conn: &mut SqliteConnection, row: &Row) -> diesel::QueryResult<()> {
    // As the product writes them: text that sorts by time.
    let (due, placed) = (row.due.to_rfc3339(), row.placed.to_rfc3339());
    sql_query(ORDER)
        .bind::<Binary, _>(row.id.as_bytes().as_slice())
        .bind::<Binary, _>(row.customer.as_bytes().as_slice())
        .bind::<Text, _>(&row.table)
        .bind::<Text, _>(&due)
        .bind::<Text, _>(&placed)
        .bind::<Binary, _>(&row.fingerprint)
        .execute(conn)?;
    sql_query(LINE)
        .bind::<Binary, _>(row.id.as_bytes().as_slice())
        .bind::<Binary, _>(row.recipe.as_bytes().as_slice())
        .bind::<Text, _>(&row.drink)
        .execute(conn)?;
    sql_query(MOVE)
        .bind::<Binary, _>(row.id.as_bytes().as_slice())
        .bind::<Binary, _>(row.customer.as_bytes().as_slice())
        .bind::<Text, _>(&placed)
        .execute(conn)?;
    Ok(())
}
