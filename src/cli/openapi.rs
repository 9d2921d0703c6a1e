//! `shakerqueue openapi`

use super::error::CliError;
use crate::http;
use std::io::{Write, stdout};

/// Prints the API's document.
pub fn run() -> Result<(), CliError> {
    Ok(stdout().write_all(http::document().as_bytes())?)
}
