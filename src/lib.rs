//! lib
pub mod domain;
pub mod store;
