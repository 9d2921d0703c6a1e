//! Bare batch inserts through tokio-postgres: the product's tables with their indexes, 500 orders a transaction, one
//! statement a table, sent together.

use super::{BATCH_ORDERS, Row, each, rows};
use crate::{harness::Result, stage::Stage};
use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_postgres::{Client, Statement, types::ToSql};
use uuid::Uuid;

const INSERT_ORDERS: &str = "
    INSERT INTO orders (id, customer_id, placed_by, table_name, status, priority, due_at, placed_at, recorded_at, updated_at,
                        version, fingerprint)
    SELECT id, customer, customer, place, 'pending', 2, due, placed, placed, placed, 1, fingerprint
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bytea[])
        AS o (id, customer, place, due, placed, fingerprint)";
const INSERT_LINES: &str = "
    INSERT INTO order_lines (order_id, position, recipe_id, recipe_name, quantity)
    SELECT id, 1, recipe, drink, 1 FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS l (id, recipe, drink)";
const INSERT_MOVES: &str = "
    INSERT INTO order_moves (order_id, number, from_status, to_status, actor_id, moved_at)
    SELECT id, 1, 'queued', 'pending', customer, placed
    FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS m (id, customer, placed)";

/// Measures the cost of one recorded order, over this many.
pub async fn cost(stage: &mut Stage, count: usize) -> Result<f64> {
    let database = stage.database().await?;
    let client = stage.client(&database).await?;
    let customer = client.query_one("SELECT id FROM users WHERE role = 'customer'", &[]).await?.get(0);
    let drinks = client.query("SELECT id, name FROM recipes", &[]).await?;
    let drinks: Vec<(Uuid, String)> = drinks.iter().map(|row| (row.get(0), row.get(1))).collect();
    let statements = [
        client.prepare(INSERT_ORDERS).await?,
        client.prepare(INSERT_LINES).await?,
        client.prepare(INSERT_MOVES).await?,
    ];
    let rows = rows(count + BATCH_ORDERS, customer, &drinks);
    let (first, rows) = rows.split_at(BATCH_ORDERS);
    insert(&client, first, &statements).await?; // plans, caches
    let begun = Instant::now();
    for batch in rows.chunks(BATCH_ORDERS) {
        insert(&client, batch, &statements).await?;
    }
    let cost = each(begun.elapsed(), rows.len());
    drop(client);
    stage.clean_up(&database).await?;
    Ok(cost)
}

async fn insert(client: &Client, batch: &[Row], statements: &[Statement; 3]) -> Result<()> {
    let [orders, lines, moves] = statements;
    let ids: Vec<Uuid> = batch.iter().map(|row| row.id).collect();
    let customers: Vec<Uuid> = batch.iter().map(|row| row.customer).collect();
    let tables: Vec<&str> = batch.iter().map(|row| row.table.as_str()).collect();
    let due: Vec<DateTime<Utc>> = batch.iter().map(|row| row.due).collect();
    let placed: Vec<DateTime<Utc>> = batch.iter().map(|row| row.placed).collect();
    let fingerprints: Vec<&[u8]> = batch.iter().map(|row| row.fingerprint.as_slice()).collect();
    let recipes: Vec<Uuid> = batch.iter().map(|row| row.recipe).collect();
    let drinks: Vec<&str> = batch.iter().map(|row| row.drink.as_str()).collect();
    let in_orders: [&(dyn ToSql + Sync); 6] = [&ids, &customers, &tables, &due, &placed, &fingerprints];
    let in_lines: [&(dyn ToSql + Sync); 3] = [&ids, &recipes, &drinks];
    let in_moves: [&(dyn ToSql + Sync); 3] = [&ids, &customers, &placed];
    // Polled together they are sent together and run in this order.
    tokio::try_join!(
        client.batch_execute("BEGIN"),
        client.execute(orders, &in_orders),
        client.execute(lines, &in_lines),
        client.execute(moves, &in_moves),
        client.batch_execute("COMMIT"),
    )?;
    Ok(())
}
