//! Database errors, classified by what a use case can do about them.

mod sqlstate;

pub use sqlstate::SqlState;

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::deadpool::PoolError;
use sqlstate::Meaning;
use std::sync::Arc;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Failure of database work. Its cause belongs in the log and never in a response.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database can't be reached or can't do it now; a retry may succeed. Includes everything that is not
    /// known to be permanent, since Diesel gives PostgreSQL's deadlocks, timeouts and start-up no kind.
    #[error("database unavailable: {0}")]
    Unavailable(Cause),
    /// It is unknown whether a change was committed: the connection was lost or a deadline passed during the
    /// commit. A retry may succeed.
    #[error("unknown whether the database committed: {0}")]
    OutcomeUnknown(Cause),
    /// A unique value is in use.
    #[error("value must be unique: {0:?}")]
    Taken(Unique),
    /// A foreign key refers to no row.
    #[error("unknown reference: {0}")]
    UnknownReference(Cause),
    /// The database will never accept it.
    #[error("rejected by the database: {0}")]
    Refused(Cause),
    /// The database can't represent a value.
    #[error("value must be one that the database can represent: {0}")]
    InvalidValue(Cause),
}

/// PostgreSQL error with its SQLSTATE.
#[derive(Debug, thiserror::Error)]
#[error("{cause} (SQLSTATE {state})")]
struct WithState {
    cause: Cause,
    state: SqlState,
}

pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unique {
    Email,
    RecipeName,
    /// Any other unique value, such as a primary key.
    Other,
}

impl Error {
    pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(Arc::from(cause.into()))
    }

    /// Returns whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::OutcomeUnknown(_))
    }

    /// Names the kind of error, without the database's message, which may quote the data.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::OutcomeUnknown(_) => "undecided",
            Self::Taken(_) => "taken",
            Self::UnknownReference(_) => "unknown reference",
            Self::Refused(_) => "refused",
            Self::InvalidValue(_) => "invalid value",
        }
    }

    /// Refines an error that has no kind in Diesel by its SQLSTATE.
    #[must_use]
    pub(super) fn with_state(self, state: Option<SqlState>) -> Self {
        match (self, state) {
            (Self::Unavailable(cause), Some(state)) => {
                let cause = Arc::new(WithState { cause, state });
                match state.meaning() {
                    Meaning::Transient => Self::Unavailable(cause),
                    Meaning::InvalidValue => Self::InvalidValue(cause),
                    Meaning::Rejected => Self::Refused(cause),
                }
            }
            (other, _) => other,
        }
    }

    /// Returns whether the error would recur on this connection and may not on another.
    pub(super) fn spoils_connection(&self) -> bool {
        let (Self::Unavailable(cause) | Self::OutcomeUnknown(cause)) = self else { return false };
        cause.downcast_ref::<WithState>().is_some_and(|error| error.state.spoils_connection())
    }

    /// Marks the outcome of a change as unknown after a transient error.
    #[must_use]
    pub(super) fn while_committing(self) -> Self {
        match self {
            Self::Unavailable(cause) => Self::OutcomeUnknown(cause),
            other => other,
        }
    }
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        use DatabaseErrorKind as Kind;
        let DieselError::DatabaseError(kind, info) = &error else {
            return match error {
                DieselError::SerializationError(_)
                | DieselError::DeserializationError(_)
                | DieselError::QueryBuilderError(_) => Self::Refused(Arc::new(error)),
                _ => Self::unavailable(error),
            };
        };
        match kind {
            // PostgreSQL names the index, SQLite the columns.
            Kind::UniqueViolation => {
                let name = info.constraint_name().unwrap_or_else(|| info.message());
                let is_recipe = name.contains("recipes_name_key") || name.contains("recipes.name_key");
                Self::Taken(if is_recipe { Unique::RecipeName } else { Unique::Other })
            }
            Kind::ForeignKeyViolation => Self::UnknownReference(Arc::new(error)),
            Kind::NotNullViolation
            | Kind::CheckViolation
            | Kind::RestrictViolation
            | Kind::ExclusionViolation => Self::Refused(Arc::new(error)),
            _ => Self::unavailable(error),
        }
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        Self::unavailable(error)
    }
}
