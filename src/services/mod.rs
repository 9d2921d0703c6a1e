//! Use cases. Each owns its transaction.

pub mod accounts;
pub mod audit;
mod database_error;
pub mod dead_letters;
pub mod health;
pub mod idempotency;
pub mod menu;
pub mod orders;
pub mod sampled_metrics;
pub mod seed;

pub use database_error::{DatabaseError, DatabaseErrorKind};
