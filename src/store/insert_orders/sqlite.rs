//! Inserts a batch in one blocking task, with one prepared statement per table.

use crate::{
    domain::{
        Timestamp,
        ids::{OrderId, RecipeId, UserId},
        order::{NewOrder, Quantity},
        order_state::Status,
        text::{Name, Note, Table},
    },
    store::{
        Result, SqliteConn,
        schema::{order_lines, order_moves, orders},
    },
};
use diesel::{ExpressionMethods, Insertable, QueryResult, RunQueryDsl, SqliteConnection, insert_into};
use std::collections::HashSet;

#[derive(Insertable)]
#[diesel(table_name = orders, treat_none_as_default_value = false)]
struct OrderRow<'a> {
    id: OrderId,
    customer_id: UserId,
    placed_by: UserId,
    table_name: Option<&'a Table>,
    note: Option<&'a Note>,
    status: Status,
    priority: i16,
    due_at: Timestamp,
    placed_at: Timestamp,
    recorded_at: Timestamp,
    updated_at: Timestamp,
    version: i32,
    fingerprint: Vec<u8>,
}

#[derive(Insertable)]
#[diesel(table_name = order_lines, treat_none_as_default_value = false)]
struct LineRow<'a> {
    order_id: OrderId,
    position: i16,
    recipe_id: RecipeId,
    recipe_name: &'a Name,
    quantity: Quantity,
    note: Option<&'a Note>,
}

/// Inserts the orders whose ids are new, and returns those ids.
pub async fn insert(conn: &mut SqliteConn, orders: Vec<NewOrder>, at: Timestamp) -> Result<HashSet<OrderId>> {
    Ok(conn
        .spawn_blocking(move |conn| {
            let mut new = HashSet::with_capacity(orders.len());
            for order in &orders {
                if insert_one(conn, order, at)? {
                    new.insert(order.id);
                }
            }
            Ok(new)
        })
        .await?)
}

fn insert_one(conn: &mut SqliteConnection, order: &NewOrder, at: Timestamp) -> QueryResult<bool> {
    let row = OrderRow {
        id: order.id,
        customer_id: order.customer_id,
        placed_by: order.placed_by,
        table_name: order.table.as_ref(),
        note: order.note.as_ref(),
        status: Status::Pending,
        priority: order.priority.into(),
        due_at: order.due_at,
        placed_at: order.placed_at,
        recorded_at: at,
        updated_at: at,
        version: 1,
        fingerprint: order.fingerprint().to_vec(),
    };
    if insert_into(orders::table).values(&row).on_conflict(orders::id).do_nothing().execute(conn)? == 0 {
        return Ok(false);
    }
    for (line, position) in order.lines.iter().zip(1..) {
        let row = LineRow {
            order_id: order.id,
            position,
            recipe_id: line.recipe.id,
            recipe_name: &line.recipe.name,
            quantity: line.quantity,
            note: line.note.as_ref(),
        };
        insert_into(order_lines::table).values(&row).execute(conn)?;
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
