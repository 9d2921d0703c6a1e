//! `shakerqueue openapi`

use super::error::CliError;
use crate::http;
use std::io::{Write, stdout};

pub(super) fn run() -> Result<(), CliError> {
    Ok(stdout().write_all(http::document().as_bytes())?)
}
