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

/// Two settings, each with its name, that must be given together or not at all.
pub(super) fn both_or_none<A, B>(
    (first_name, first): (&str, Option<A>),
    (second_name, second): (&str, Option<B>),
) -> Result<Option<(A, B)>, CliError> {
    let missing = |given, missing| CliError::new(format!("{given} must be given together with {missing}"));
    match (first, second) {
        (Some(first), Some(second)) => Ok(Some((first, second))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(missing(first_name, second_name)),
        (None, Some(_)) => Err(missing(second_name, first_name)),
    }
}

/// Prints a line on standard output. If nobody reads it, the command goes on all the same.
pub(super) fn say(text: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{text}");
}
