//! Inserts a batch in one blocking task, with one prepared statement per table.

use crate::{
    domain::{
        Timestamp,
        change_set::{ChangeSet, OrderChange},
        ids::OrderId,
        order::NewOrder,
        order_state::Status,
    },
    store::{
        Result, SqliteConn, changes,
        schema::{order_lines, order_moves, orders},
    },
};
use diesel::{insert_into, prelude::*};
use std::collections::HashSet;

/// Inserts the orders whose ids are new, and returns those ids.
pub async fn insert(conn: &mut SqliteConn, orders: Vec<NewOrder>, at: Timestamp) -> Result<HashSet<OrderId>> {
    Ok(conn
        .spawn_blocking(move |conn| {
            let mut new = Vec::with_capacity(orders.len());
            for order in &orders {
                if insert_one(conn, order, at)? {
                    new.push(OrderChange { id: order.id, version: 1, customer_id: order.customer_id });
                }
            }
            let ids = new.iter().map(|change| change.id).collect();
            changes::append_blocking(conn, &ChangeSet::of_orders(new), at)?;
            Ok(ids)
        })
        .await?)
}

fn insert_one(conn: &mut SqliteConnection, order: &NewOrder, at: Timestamp) -> QueryResult<bool> {
    let row = (
        orders::id.eq(order.id),
        orders::customer_id.eq(order.customer_id),
        orders::placed_by.eq(order.placed_by),
        orders::table_name.eq(order.table.as_ref()),
        orders::note.eq(order.note.as_ref()),
        orders::status.eq(Status::Pending),
        orders::priority.eq(i16::from(order.priority)),
        orders::due_at.eq(order.due_at),
        orders::placed_at.eq(order.placed_at),
        orders::recorded_at.eq(at),
        orders::updated_at.eq(at),
        orders::version.eq(1),
        orders::fingerprint.eq(order.fingerprint().to_vec()),
    );
    if insert_into(orders::table).values(row).on_conflict(orders::id).do_nothing().execute(conn)? == 0 {
        return Ok(false);
    }
    for (line, position) in order.lines.iter().zip(1_i16..) {
        let row = (
            order_lines::order_id.eq(order.id),
            order_lines::position.eq(position),
            order_lines::recipe_id.eq(line.recipe.id),
            order_lines::recipe_name.eq(&line.recipe.name),
            order_lines::quantity.eq(line.quantity),
            order_lines::note.eq(line.note.as_ref()),
        );
        insert_into(order_lines::table).values(row).execute(conn)?;
    }
    insert_into(order_moves::table)
        .values((
            order_moves::order_id.eq(order.id),
            order_moves::number.eq(1),
            order_moves::from_status.eq(Status::Queued),
            order_moves::to_status.eq(Status::Pending),
            order_moves::actor_id.eq(order.placed_by),
            order_moves::moved_at.eq(at),
        ))
        .execute(conn)?;
    Ok(true)
}
