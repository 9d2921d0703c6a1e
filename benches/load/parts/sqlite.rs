//! Bare batch inserts into SQLite, as durable as the product's: each commit reaches the disk.

use super::{BATCH_ORDERS, Row, each, rows};
use crate::{
    harness::{Result, roles::command, wait::WAIT_TIMEOUT},
    stage::Stage,
};
use diesel::{
    Connection, ExpressionMethods, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    insert_into, sql_query,
    sql_types::{Binary, Text},
};
use std::time::Instant;
use tokio::{task::spawn_blocking, time::timeout};
use uuid::Uuid;

/// Opens the file as the product does.
const SETUP_SQL: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                     PRAGMA wal_autocheckpoint = 4000;";

// Diesel prepares inserts into these tables once, and `sql_query` each time.
diesel::table! {
    orders (id) {
        id -> Binary,
        customer_id -> Binary,
        placed_by -> Binary,
        table_name -> Text,
        status -> Text,
        priority -> SmallInt,
        due_at -> Text,
        placed_at -> Text,
        recorded_at -> Text,
        updated_at -> Text,
        version -> Integer,
        fingerprint -> Binary,
    }
}
diesel::table! {
    order_lines (order_id, position) {
        order_id -> Binary,
        position -> SmallInt,
        recipe_id -> Binary,
        recipe_name -> Text,
        quantity -> SmallInt,
    }
}
diesel::table! {
    order_moves (order_id, number) {
        order_id -> Binary,
        number -> Integer,
        from_status -> Text,
        to_status -> Text,
        actor_id -> Binary,
        moved_at -> Text,
    }
}

#[derive(QueryableByName)]
struct Drink {
    #[diesel(sql_type = Binary)]
    id: Vec<u8>,
    #[diesel(sql_type = Text)]
    name: String,
}

/// Measures the cost of one recorded order, over this many.
pub async fn cost(stage: &Stage, count: usize) -> Result<f64> {
    let file = stage.folder.join(format!("bare-{}.db", stage.number())).display().to_string();
    let mut seed = command(&["seed"], &[("DATABASE_URL".to_owned(), format!("sqlite://{file}"))]);
    if !timeout(WAIT_TIMEOUT, seed.output()).await??.status.success() {
        return Err("seed failed".into());
    }
    spawn_blocking(move || insert_all(&file, count)).await?
}

fn insert_all(file: &str, count: usize) -> Result<f64> {
    let mut conn = SqliteConnection::establish(file)?;
    conn.batch_execute(SETUP_SQL)?;
    let customer: Drink =
        sql_query("SELECT id, username AS name FROM users WHERE role = 'customer'").get_result(&mut conn)?;
    let drinks: Vec<Drink> = sql_query("SELECT id, name FROM recipes").load(&mut conn)?;
    let drinks: Vec<(Uuid, String)> = drinks
        .into_iter()
        .map(|drink| Ok((Uuid::from_slice(&drink.id)?, drink.name)))
        .collect::<Result<_>>()?;
    let rows = rows(count, Uuid::from_slice(&customer.id)?, &drinks);
    let begun = Instant::now();
    for batch in rows.chunks(BATCH_ORDERS) {
        conn.immediate_transaction(|conn| batch.iter().try_for_each(|row| insert(conn, row)))?;
    }
    Ok(each(begun.elapsed(), rows.len()))
}

fn insert(conn: &mut SqliteConnection, row: &Row) -> diesel::QueryResult<()> {
    // As the product writes timestamps: text that sorts by time.
    let (due, placed) = (row.due.to_rfc3339(), row.placed.to_rfc3339());
    let [id, customer, recipe] = [&row.id, &row.customer, &row.recipe].map(|id| id.as_bytes().as_slice());
    insert_into(orders::table)
        .values((
            (orders::id.eq(id), orders::customer_id.eq(customer), orders::placed_by.eq(customer)),
            (orders::table_name.eq(&row.table), orders::status.eq("pending"), orders::priority.eq(2)),
            (orders::due_at.eq(&due), orders::placed_at.eq(&placed), orders::recorded_at.eq(&placed)),
            (orders::updated_at.eq(&placed), orders::version.eq(1), orders::fingerprint.eq(&row.fingerprint)),
        ))
        .execute(conn)?;
    insert_into(order_lines::table)
        .values((
            order_lines::order_id.eq(id),
            order_lines::position.eq(1),
            order_lines::recipe_id.eq(recipe),
            order_lines::recipe_name.eq(&row.drink),
            order_lines::quantity.eq(1),
        ))
        .execute(conn)?;
    insert_into(order_moves::table)
        .values((
            order_moves::order_id.eq(id),
            order_moves::number.eq(1),
            order_moves::from_status.eq("queued"),
            order_moves::to_status.eq("pending"),
            order_moves::actor_id.eq(customer),
            order_moves::moved_at.eq(&placed),
        ))
        .execute(conn)?;
    Ok(())
}
