//! Handlers of the routes: one file for each part of the API.

pub mod accounts;
pub mod audit;
#[cfg(debug_assertions)]
pub mod blocking_route;
pub mod boards;
#[cfg(test)]
mod body_proptests;
pub mod dead_letters;
pub mod health;
pub mod instances;
pub mod menu_page;
pub mod metrics;
pub mod order_list;
pub mod orders;
mod prelude;
pub mod recipes;
pub mod sessions;
pub mod static_documents;
pub mod stream;
pub mod users;
