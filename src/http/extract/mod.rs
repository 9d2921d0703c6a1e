//! Extractors: what handlers read from requests.

pub mod auth;
pub mod client_ip;
pub mod idempotency;
pub mod json;
pub mod json_errors;
pub mod preconditions;
pub mod prefer;
pub mod query;
