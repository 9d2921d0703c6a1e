//! Orders, recipes, accounts and their rules, without I/O.

pub mod account;
pub mod audit;
mod bounded_integer;
pub mod change_set;
pub mod dead_letter;
pub mod filters;
pub mod ids;
pub mod instance;
pub mod json;
pub mod network;
mod openapi_schema;
pub mod order;
pub mod order_state;
pub mod priority;
#[cfg(test)]
pub mod proptests;
pub mod recipe;
pub mod recipe_draft;
pub mod text;
mod timestamp;
pub mod validation;
pub mod version;
mod words;

pub use timestamp::{Timestamp, now};
pub use validation::FieldError;
