//! `shakerqueue openapi`

use super::Failure;
use crate::http;
use std::io::{Write, stdout};

/// Prints the API's document.
pub fn run() -> Result<(), Failure> {
    Ok(stdout().write_all(http::document().as_bytes())?)
}
