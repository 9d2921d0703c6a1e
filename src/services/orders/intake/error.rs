//! Errors of placing an order.

use super::OpenOrdersError;
use crate::{
    domain::{FieldError, text::Name},
    services::orders::recorder::Refusal,
    store,
    telemetry::metrics::MetricLabel,
};

/// Why an order was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PlaceOrderError {
    /// These fields of it are wrong.
    #[error("{}", .0.iter().map(FieldError::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// A drink of it is sold out.
    #[error("{0} is sold out")]
    SoldOut(Name),
    /// Only staff order for others.
    #[error("only staff order for others")]
    NotForOthers,
    /// Another order was placed under the same key.
    #[error("another order was placed under this key")]
    Conflict,
    /// The customer has as many open orders as they may have.
    #[error(transparent)]
    TooManyOpen(#[from] OpenOrdersError),
    /// It could not be stored, though it looked well.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// Neither the broker nor the database can take it now.
    #[error("no part that could keep it is up")]
    Unavailable,
    /// It may be kept or not: neither the broker nor the database said so in time.
    #[error("nobody knows whether it is kept")]
    Undecided,
    /// The database could not answer what needed to be known first.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl MetricLabel for PlaceOrderError {
    fn label(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::SoldOut(_) => "sold_out",
            Self::NotForOthers => "not_permitted",
            Self::Conflict => "conflict",
            Self::TooManyOpen(_) => "too_many_open",
            Self::Refused(_) => "unstorable",
            Self::Unavailable | Self::Store(store::Error::Unavailable(_)) => "unavailable",
            Self::Undecided | Self::Store(store::Error::Undecided(_)) => "undecided",
            Self::Store(_) => "failed",
        }
    }
}
