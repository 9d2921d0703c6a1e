//! Inserts accepted orders, many at a time. This is the hot path of writing, so each database has its own
//! implementation: measured against Diesel's generic multi-row insert, `UNNEST` takes PostgreSQL about two
//! thirds of the time, and one blocking task takes SQLite a fraction of one task per row.

pub mod key_conflicts;
mod postgres;
mod sqlite;

use super::{
    Conn, Error, Result, on,
    orders::find_all,
    schema::{order_lines, order_moves, orders, recipes, users},
    settings,
};
use crate::domain::{
    Timestamp,
    ids::{OrderId, RecipeId, UserId},
    order::{Drink, MAX_LINES, NewOrder, OrderLine, Quantity},
    text::{Name, Note},
};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertOutcome {
    Stored,
    /// The same order was stored before.
    AlreadyThere,
    /// Another order of the same customer has this id: the customer used a key twice.
    KeyReused,
    /// Another customer's order has this id.
    Conflict,
}

/// The part of a stored order that is compared with others of the same id.
#[derive(Debug, Clone)]
pub struct Content {
    customer_id: UserId,
    fingerprint: Vec<u8>,
    /// The order as it was placed, if the fingerprints differ.
    placed: Option<NewOrder>,
}

impl Content {
    fn of(order: &NewOrder) -> Self {
        let fingerprint = order.fingerprint().to_vec();
        Self { customer_id: order.customer_id, fingerprint, placed: Some(order.clone()) }
    }

    /// Returns whether this is the content of `order`.
    pub fn is_of(&self, order: &NewOrder) -> bool {
        self.fingerprint == order.fingerprint()
            || self.placed.as_ref().is_some_and(|placed| order.repeats(placed))
    }

    /// Compares this with an order of the same id.
    fn compare(&self, order: &NewOrder) -> InsertOutcome {
        if self.is_of(order) {
            InsertOutcome::AlreadyThere
        } else if self.customer_id == order.customer_id {
            InsertOutcome::KeyReused
        } else {
            InsertOutcome::Conflict
        }
    }
}

/// Reason, shown to staff, why an order whose id is in use can't be stored.
pub const CONFLICT: &str = "another order is stored under its id";

/// Describes to staff why the database will not store an order.
pub fn why(error: &Error) -> String {
    match error {
        Error::UnknownReference(_) => "it names a customer or a recipe that does not exist".into(),
        Error::Unavailable(cause) | Error::OutcomeUnknown(cause) => {
            format!("the database keeps failing on it: {cause}")
        }
        other => other.to_string(),
    }
}

/// Inserts the orders that are not stored yet, with their lines and the first row of their history, and
/// returns an outcome for each, in the same order. Belongs in a transaction. Fails as a whole if one order
/// can't be stored.
pub async fn record(conn: &mut Conn, batch: &Arc<[NewOrder]>, at: Timestamp) -> Result<Vec<InsertOutcome>> {
    // An id may occur twice in the batch; its first order counts as new.
    let mut first_of: HashMap<OrderId, &NewOrder> = HashMap::with_capacity(batch.len());
    for order in batch.iter() {
        first_of.entry(order.id).or_insert(order);
    }
    let mut unique: Vec<&NewOrder> = first_of.values().copied().collect();
    // Sorted, so that two workers with the same orders wait for each other instead of deadlocking.
    unique.sort_unstable_by_key(|order| order.id);

    let mut stored: HashSet<OrderId> = match conn {
        Conn::Pg(conn) => postgres::insert(conn, &unique, at).await?,
        Conn::Sqlite(conn) => sqlite::insert(conn, unique.into_iter().cloned().collect(), at).await?,
    };
    let there: Vec<_> = batch.iter().filter(|order| !stored.contains(&order.id)).collect();
    let there = contents(conn, &there).await?;
    Ok(batch
        .iter()
        .map(|order| {
            if stored.remove(&order.id) {
                return InsertOutcome::Stored;
            }
            match (there.get(&order.id), first_of.get(&order.id)) {
                (Some(there), _) => there.compare(order),
                (None, Some(first)) => Content::of(first).compare(order),
                (None, None) => InsertOutcome::Conflict,
            }
        })
        .collect())
}

/// Inserts an order of maximum size and deletes it again. Belongs in a transaction.
pub async fn probe_insert(conn: &mut Conn, at: Timestamp) -> Result<()> {
    let customer: Option<UserId> = on!(conn, c => users::table.select(users::id).first(c)).optional()?;
    let recipe: Option<(RecipeId, Name)> =
        on!(conn, c => recipes::table.select((recipes::id, recipes::name)).first(c)).optional()?;
    let (Some(customer), Some((recipe, name))) = (customer, recipe) else {
        return settings::probe_write(conn).await;
    };
    let note = Note::try_from("-".repeat(Note::MAX).as_str()).ok();
    let line = OrderLine { recipe: Drink { id: recipe, name }, quantity: Quantity::ONE, note: note.clone() };
    let id = OrderId::new_v7();
    let order = NewOrder {
        id,
        customer_id: customer,
        placed_by: customer,
        lines: vec![line; MAX_LINES],
        table: None,
        note,
        priority: 1,
        due_at: at,
        placed_at: at,
    };
    record(conn, &Arc::from([order]), at).await?;
    on!(conn, c => diesel::delete(order_moves::table.filter(order_moves::order_id.eq(id))).execute(c))?;
    on!(conn, c => diesel::delete(order_lines::table.filter(order_lines::order_id.eq(id))).execute(c))?;
    on!(conn, c => diesel::delete(orders::table.find(id)).execute(c))?;
    Ok(())
}

/// Loads the stored contents for the ids of these orders.
pub async fn contents(conn: &mut Conn, orders: &[&NewOrder]) -> Result<HashMap<OrderId, Content>> {
    if orders.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: HashSet<OrderId> = orders.iter().map(|order| order.id).collect();
    let rows: Vec<(OrderId, UserId, Vec<u8>)> = on!(conn, c => orders::table
        .filter(orders::id.eq_any(ids))
        .select((orders::id, orders::customer_id, orders::fingerprint))
        .load(c))?;
    let content = |(id, customer_id, fingerprint)| (id, Content { customer_id, fingerprint, placed: None });
    let mut contents: HashMap<_, _> = rows.into_iter().map(content).collect();
    // A repeated order is nearly always identical, so only those that differ are read in full.
    let differs = |order: &&&NewOrder| contents.get(&order.id).is_some_and(|content| !content.is_of(order));
    let differing: HashSet<OrderId> = orders.iter().filter(differs).map(|order| order.id).collect();
    if !differing.is_empty() {
        for order in find_all(conn, &differing.into_iter().collect::<Vec<_>>()).await? {
            contents.entry(order.placed.id).and_modify(|content| content.placed = Some(order.placed));
        }
    }
    Ok(contents)
}

/// Blocks all others from inserting this order until the transaction ends, after waiting for one that is
/// inserting it: what is read afterwards stays true until then.
pub async fn reserve(conn: &mut Conn, id: OrderId, at: Timestamp) -> Result<()> {
    match conn {
        Conn::Pg(conn) => postgres::reserve(conn, id, at).await,
        // SQLite has one writer at a time.
        Conn::Sqlite(_) => Ok(()),
    }
}
