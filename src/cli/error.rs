//! The error that ends a command, and the output of commands.

use std::{
    error::Error,
    fmt,
    io::{self, Write},
};

/// A command failed: one sentence for whoever ran it. It is no [`Error`] itself, so that any error can become one.
#[derive(Debug)]
pub struct CliError(String);

impl CliError {
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error> From<E> for CliError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Prints a line on standard output. If nobody reads it, the command goes on all the same.
pub(super) fn say(text: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{text}");
}
