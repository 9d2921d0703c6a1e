//! Inserts a batch with one statement: arrays in, ids of the new orders out.

use crate::{
    domain::{
        Timestamp,
        ids::OrderId,
        order::NewOrder,
        text::{Note, Table},
    },
    store::{PgConn, Result},
};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Array, Binary, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use std::collections::HashSet;
use uuid::Uuid;

const INSERT: &str = "
    WITH new AS (
        INSERT INTO orders (id, customer_id, placed_by, table_name, note, status, priority, due_at, placed_at,
                            recorded_at, updated_at, version, fingerprint)
        SELECT o.id, o.customer_id, o.placed_by, o.table_name, o.note, 'pending', o.priority, o.due_at, o.placed_at,
               $1, $1, 1, o.fingerprint
        FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10)
            AS o (id, customer_id, placed_by, table_name, note, priority, due_at, placed_at, fingerprint)
        ON CONFLICT (id) DO NOTHING
        RETURNING id, placed_by, customer_id
    ), lines AS (
        INSERT INTO order_lines (order_id, position, recipe_id, recipe_name, quantity, note)
        SELECT l.order_id, l.position, l.recipe_id, l.recipe_name, l.quantity, l.note
        FROM unnest($11, $12, $13, $14, $15, $16) AS l (order_id, position, recipe_id, recipe_name, quantity, note)
        JOIN new ON new.id = l.order_id
    ), moves AS (
        INSERT INTO order_moves (order_id, number, from_status, to_status, actor_id, moved_at)
        SELECT id, 1, 'queued', 'pending', placed_by, $1 FROM new
    ), changes AS (
        INSERT INTO changes (at, what)
        SELECT $1, json_build_object('orders', json_agg(json_build_array(id, 1, customer_id))) FROM new
        HAVING count(*) > 0
    )
    SELECT id FROM new";

/// Inserts the id as inserting the order would, with any customer: the primary key serves as a lock, at no
/// cost to those who insert orders.
const TAKE_ID: &str = "
    INSERT INTO orders (id, customer_id, placed_by, status, priority, due_at, placed_at, recorded_at, updated_at, version,
                        fingerprint)
    SELECT $1, users.id, users.id, 'pending', 1, $2, $2, $2, $2, 1, ''::bytea FROM users LIMIT 1
    ON CONFLICT (id) DO NOTHING";

/// Deletes the row of [`TAKE_ID`]; the id stays locked until the transaction ends.
const TAKE_BACK: &str = "DELETE FROM orders WHERE id = $1";

#[derive(QueryableByName)]
struct New {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Inserts the orders whose ids are new, and returns those ids.
pub async fn insert(conn: &mut PgConn, orders: &[&NewOrder], at: Timestamp) -> Result<HashSet<OrderId>> {
    let lines: Vec<_> = orders
        .iter()
        .flat_map(|order| order.lines.iter().zip(1_i16..).map(|line| (order.id, line)))
        .collect();
    let new: Vec<New> = sql_query(INSERT)
        .bind::<Timestamptz, _>(at.0)
        .bind::<Array<SqlUuid>, _>(column(orders, |order| order.id.0))
        .bind::<Array<SqlUuid>, _>(column(orders, |order| order.customer_id.0))
        .bind::<Array<SqlUuid>, _>(column(orders, |order| order.placed_by.0))
        .bind::<Array<Nullable<Text>>, _>(column(orders, |order| order.table.as_ref().map(Table::as_str)))
        .bind::<Array<Nullable<Text>>, _>(column(orders, |order| order.note.as_ref().map(Note::as_str)))
        .bind::<Array<SmallInt>, _>(column(orders, |order| i16::from(order.priority)))
        .bind::<Array<Timestamptz>, _>(column(orders, |order| order.due_at.0))
        .bind::<Array<Timestamptz>, _>(column(orders, |order| order.placed_at.0))
        .bind::<Array<Binary>, _>(column(orders, |order| order.fingerprint().to_vec()))
        .bind::<Array<SqlUuid>, _>(column(&lines, |(id, _)| id.0))
        .bind::<Array<SmallInt>, _>(column(&lines, |(_, (_, position))| *position))
        .bind::<Array<SqlUuid>, _>(column(&lines, |(_, (line, _))| line.recipe.id.0))
        .bind::<Array<Text>, _>(column(&lines, |(_, (line, _))| line.recipe.name.as_str()))
        .bind::<Array<SmallInt>, _>(column(&lines, |(_, (line, _))| i16::from(line.quantity.get())))
        .bind::<Array<Nullable<Text>>, _>(column(&lines, |(_, (line, _))| {
            line.note.as_ref().map(Note::as_str)
        }))
        .load(conn)
        .await?;
    Ok(new.into_iter().map(|new| OrderId(new.id)).collect())
}

/// See [`super::reserve`].
pub async fn reserve(conn: &mut PgConn, id: OrderId, at: Timestamp) -> Result<()> {
    let take = sql_query(TAKE_ID).bind::<SqlUuid, _>(id.0).bind::<Timestamptz, _>(at.0);
    if take.execute(conn).await? > 0 {
        sql_query(TAKE_BACK).bind::<SqlUuid, _>(id.0).execute(conn).await?;
    }
    Ok(())
}

fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
