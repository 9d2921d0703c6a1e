//! Use cases. Each owns its transaction.

pub mod accounts;
pub mod audit;
pub mod dead_letters;
pub mod health;
pub mod idempotency;
pub mod menu;
pub mod orders;
pub mod sampled_metrics;
pub mod seed;
