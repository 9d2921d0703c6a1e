//! Failures of the database as the callers of use cases see them.

use crate::store;

/// Failure of a use case because of the database.
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
            store::Error::Undecided(_) => DatabaseErrorKind::OutcomeUnknown,
            store::Error::InvalidValue(_) => DatabaseErrorKind::InvalidValue,
            store::Error::Taken(_) | store::Error::UnknownReference(_) | store::Error::Refused(_) => {
                DatabaseErrorKind::Internal
            }
        }
    }
}
