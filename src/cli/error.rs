//! The error that ends a command, and what commands print.

use crate::{
    cli::deployment::DeploymentError,
    services::{
        DatabaseError,
        accounts::{AccountError, HashingError},
    },
    store,
};
use std::{
    fmt,
    io::{self, Write},
};

/// Why a role ended: a sentence for whoever started it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CliError(String);

impl CliError {
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// Says something on standard output. If nobody reads it, the role goes on all the same.
pub(crate) fn say(text: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

impl From<DeploymentError> for CliError {
    fn from(error: DeploymentError) -> Self {
        Self(error.to_string())
    }
}

impl From<store::Error> for CliError {
    fn from(error: store::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<AccountError> for CliError {
    fn from(error: AccountError) -> Self {
        Self(error.to_string())
    }
}

impl From<DatabaseError> for CliError {
    fn from(error: DatabaseError) -> Self {
        Self(error.to_string())
    }
}

impl From<HashingError> for CliError {
    fn from(error: HashingError) -> Self {
        Self(error.to_string())
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}
