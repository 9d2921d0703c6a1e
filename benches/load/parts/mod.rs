//! Measures the parts alone: an HTTP handler, the broker, the databases, each used as directly as possible.
//! Each measurement returns the cost of one order in seconds.

pub mod broker;
pub mod confirm_times;
pub mod handler;
pub mod postgres;
pub mod sqlite;

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

/// An order's row and its one line: the same as the load generator orders.
pub struct Row {
    pub id: Uuid,
    pub customer: Uuid,
    pub recipe: Uuid,
    pub drink: String,
    pub table: String,
    pub placed: DateTime<Utc>,
    pub due: DateTime<Utc>,
    pub fingerprint: Vec<u8>,
}

pub const BATCH_ORDERS: usize = 500;

/// Builds orders of this customer for these drinks, with ascending ids as the product's are.
pub fn rows(count: usize, customer: Uuid, drinks: &[(Uuid, String)]) -> Vec<Row> {
    (0..count)
        .map(|number| {
            let (recipe, drink) = drinks[number * 7 % drinks.len()].clone();
            let placed = Utc::now();
            let id = Uuid::now_v7();
            Row {
                id,
                customer,
                recipe,
                drink,
                table: (number % 40).to_string(),
                placed,
                due: placed + Duration::seconds(30),
                fingerprint: [*id.as_bytes(), *id.as_bytes()].concat(),
            }
        })
        .collect()
}

#[allow(clippy::cast_precision_loss)]
fn each(took: std::time::Duration, count: usize) -> f64 {
    took.as_secs_f64() / count as f64
}
