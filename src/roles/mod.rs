//! The roles that the executable plays: each starts what its deployment has, and stops it again.

pub mod dead_letters;
pub mod health;
pub mod migrate;
mod open_files;
pub mod openapi;
pub mod seed;
pub mod serve;
mod startup;
pub mod work;

use crate::{accounts::Denied, deployment::Unsuitable, store};
use std::{
    fmt,
    io::{self, Write},
};

/// Why a role ended: a sentence for whoever started it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// Says something on standard output. If nobody reads it, the role goes on all the same.
fn say(text: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

impl From<Unsuitable> for Failure {
    fn from(error: Unsuitable) -> Self {
        Self(error.to_string())
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<Denied> for Failure {
    fn from(error: Denied) -> Self {
        Self(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}
