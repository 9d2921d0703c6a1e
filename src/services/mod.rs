//! Use cases. Each owns its transaction.

pub mod accounts;
pub mod audit;
pub mod boards;
pub mod dead_letters;
pub mod feed;
pub mod health;
pub mod idempotency;
pub mod instances;
pub mod menu;
pub mod orders;
pub mod sampled_metrics;
pub mod seed;

use crate::store;

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DatabaseError(#[from] store::Error);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseErrorKind {
    Unavailable,
    /// It is unknown whether the change was committed. A retry may succeed.
    OutcomeUnknown,
    /// The database can't represent a value.
    InvalidValue,
    /// The database rejected what the program should not have asked for.
    Internal,
}

impl DatabaseError {
    pub fn kind(&self) -> DatabaseErrorKind {
        match self.0 {
            store::Error::Unavailable(_) => DatabaseErrorKind::Unavailable,
            store::Error::OutcomeUnknown(_) => DatabaseErrorKind::OutcomeUnknown,
            store::Error::InvalidValue(_) => DatabaseErrorKind::InvalidValue,
            store::Error::Taken(_) | store::Error::UnknownReference(_) | store::Error::Refused(_) => {
                DatabaseErrorKind::Internal
            }
        }
    }
}
