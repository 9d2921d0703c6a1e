//! What can go wrong in the database, in terms that a use case can act on.

use super::postgres::{Meaning, SqlState};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::deadpool::PoolError;
use std::sync::Arc;

/// The outcome of database work.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why database work failed. The cause is for the log, never for a client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database can't be reached or can't do it now: the same may succeed later. What is not known to be
    /// permanent is here too, since PostgreSQL's deadlocks, timeouts and start-up come without a kind.
    #[error("database unavailable: {0}")]
    Unavailable(Cause),
    /// The database did not say whether it kept a change: the connection was lost, or a deadline passed, while it was
    /// about to. The same may succeed later.
    #[error("nobody knows whether the database kept it: {0}")]
    Undecided(Cause),
    /// Someone else has it already.
    #[error("already taken: {0:?}")]
    Taken(Unique),
    /// It names a row that is not there.
    #[error("unknown reference: {0}")]
    UnknownReference(Cause),
    /// The database will never accept it.
    #[error("refused by the database: {0}")]
    Refused(Cause),
    /// The database can't hold one of its values.
    #[error("a value that the database can't hold: {0}")]
    InvalidValue(Cause),
}

/// An error of PostgreSQL, with its code.
#[derive(Debug, thiserror::Error)]
#[error("{cause} (SQLSTATE {state})")]
struct WithState {
    cause: Cause,
    state: SqlState,
}

/// Where an error came from.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// What must be unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unique {
    /// An account's e-mail address.
    Email,
    /// The name of a recipe on the menu.
    RecipeName,
    /// Anything else, such as a primary key.
    Other,
}

impl Error {
    /// A failure that may pass.
    pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(Arc::from(cause.into()))
    }

    /// Whether the same may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Undecided(_))
    }

    /// What kind of failure it is: nothing of what the database said, which may quote what was to be stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Undecided(_) => "undecided",
            Self::Taken(_) => "taken",
            Self::UnknownReference(_) => "unknown reference",
            Self::Refused(_) => "refused",
            Self::InvalidValue(_) => "invalid value",
        }
    }

    /// Adds what PostgreSQL's code tells of a failure whose kind Diesel does not know.
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

    /// Returns whether it would happen again on the same connection and perhaps on no other.
    pub(super) fn spoils_connection(&self) -> bool {
        let (Self::Unavailable(cause) | Self::Undecided(cause)) = self else { return false };
        cause.downcast_ref::<WithState>().is_some_and(|error| error.state.spoils_connection())
    }

    /// What this means for a change that may have been kept all the same.
    #[must_use]
    pub(super) fn while_committing(self) -> Self {
        match self {
            Self::Unavailable(cause) => Self::Undecided(cause),
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
            Kind::UniqueViolation => match info.constraint_name().unwrap_or_else(|| info.message()) {
                name if name.contains("users_email") || name.contains("users.email") => {
                    Self::Taken(Unique::Email)
                }
                name if name.contains("recipes_name_key") || name.contains("recipes.name_key") => {
                    Self::Taken(Unique::RecipeName)
                }
                _ => Self::Taken(Unique::Other),
            },
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
