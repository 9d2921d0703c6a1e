use super::OpenOrdersError;
use crate::{
    domain::{FieldError, text::Name},
    services::orders::recorder::Refusal,
    store,
    telemetry::metrics::MetricLabel,
};

#[derive(Debug, thiserror::Error)]
pub enum PlaceOrderError {
    #[error("{}", .0.iter().map(FieldError::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    #[error("{0} is sold out")]
    SoldOut(Name),
    #[error("only staff place orders for others")]
    NotForOthers,
    #[error("another order was placed under this key")]
    Conflict,
    #[error(transparent)]
    TooManyOpen(#[from] OpenOrdersError),
    /// The database rejects the order, although it is valid.
    #[error("rejected by the database: {0}")]
    Refused(Refusal),
    #[error("neither broker nor database is available")]
    Unavailable,
    /// It is unknown whether the order was recorded: neither broker nor database confirmed it in time.
    #[error("it is unknown whether the order was recorded")]
    OutcomeUnknown,
    /// The database could not answer a question that had to be answered first.
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
            Self::OutcomeUnknown | Self::Store(store::Error::OutcomeUnknown(_)) => "undecided",
            Self::Store(_) => "failed",
        }
    }
}
