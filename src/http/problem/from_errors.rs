//! Problems from the errors of the use cases.

use super::{Problem, types};
use crate::{
    domain::FieldError,
    services::{
        DatabaseError, DatabaseErrorKind,
        accounts::{AccountError, LoginError},
        dead_letters::ResolveError,
        menu::MenuError,
        orders::{
            board::TransitionError,
            intake::{PlaceOrderError, Refusal},
            status::StatusError,
        },
    },
};
use std::fmt;

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        match error.kind() {
            DatabaseErrorKind::Unavailable => Self::unavailable(&error),
            DatabaseErrorKind::OutcomeUnknown => Self::outcome_unknown(&error),
            DatabaseErrorKind::InvalidValue => Self::value_refused(&error),
            DatabaseErrorKind::Internal => Self::internal(&error),
        }
    }
}

impl From<PlaceOrderError> for Problem {
    fn from(error: PlaceOrderError) -> Self {
        match error {
            PlaceOrderError::Invalid(fields) => Self::of_fields(fields),
            PlaceOrderError::SoldOut(name) => Self::new(types::SOLD_OUT, format!("{name} is sold out.")),
            PlaceOrderError::NotForOthers => Self::not_permitted("Only staff order for others."),
            PlaceOrderError::Conflict => Self::new(
                types::IDEMPOTENCY_KEY_REUSED,
                "Another order was placed under this Idempotency-Key.",
            ),
            PlaceOrderError::TooManyOpen(too_many) => Self::new(types::TOO_MANY_OPEN, too_many.to_string()),
            // The menu's recipes exist, so that the customer does not: a token of another installation.
            PlaceOrderError::Refused(Refusal::Unknown(_)) => Self::not_signed_in(),
            PlaceOrderError::Refused(Refusal::InvalidValue(reason)) => Self::value_refused(&reason),
            PlaceOrderError::Refused(Refusal::Other(reason)) => Self::internal(&reason),
            PlaceOrderError::Unavailable => Self::unavailable(&error),
            PlaceOrderError::OutcomeUnknown => Self::outcome_unknown(&error),
            PlaceOrderError::Store(error) => DatabaseError::from(error).into(),
        }
    }
}

impl From<TransitionError> for Problem {
    fn from(error: TransitionError) -> Self {
        match error {
            TransitionError::Unknown => Self::not_found("order"),
            TransitionError::UnknownCustomer => Self::not_found("customer"),
            TransitionError::Conflict(order) => {
                let detail = format!("The order is {}: that can't be done with it.", order.status);
                Self::new(types::ILLEGAL_MOVE, detail).with_order(*order)
            }
            TransitionError::Outdated(order) => {
                Self::outdated("order", order.entity_version()).with_order(*order)
            }
            TransitionError::Store(error) => DatabaseError::from(error).into(),
        }
    }
}

impl From<StatusError> for Problem {
    fn from(error: StatusError) -> Self {
        match error {
            StatusError::Unknown => Self::not_found("order"),
            StatusError::NoLongerStored => {
                Self::new(types::NO_LONGER_STORED, "The order was accepted, and is no longer stored.")
            }
            StatusError::Database(error) => error.into(),
        }
    }
}

impl From<MenuError> for Problem {
    fn from(error: MenuError) -> Self {
        match error {
            MenuError::Unknown => Self::not_found("recipe"),
            MenuError::NameTaken => {
                Self::new(types::RECIPE_EXISTS, "There is a drink with this name on the menu.")
            }
            MenuError::Outdated(stamp) => Self::outdated("recipe", stamp),
            MenuError::ReadOnly(fields) => Self::of_fields(fields),
            MenuError::Store(error) => DatabaseError::from(error).into(),
        }
    }
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Unknown => Self::not_found("dead letter"),
            ResolveError::Unstorable(_) => Self::new(types::UNSTORABLE, sentence(&error)),
            ResolveError::Replayed => Self::new(types::REPLAYED, sentence(&error)),
            ResolveError::Store(error) => DatabaseError::from(error).into(),
        }
    }
}

/// Returns an error's message as a sentence.
fn sentence(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str().trim_end_matches('.'))
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::WrongPassword => {
                Self::new(types::WRONG_PASSWORD, "The e-mail or the password is wrong.")
            }
            LoginError::Inactive => Self::new(types::ACCOUNT_INACTIVE, "This account is switched off."),
            LoginError::NotSignedIn => Self::not_signed_in(),
            LoginError::SessionEnded => {
                Self::new(types::SESSION_ENDED, "This needs the latest refresh token of an active session.")
            }
            LoginError::TooManyFailures(wait) => Self::too_many_failures(wait),
            LoginError::Hashing(_) => Self::unavailable(&error),
            LoginError::Store(error) => DatabaseError::from(error).into(),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Guessable => FieldError::new("password", error.to_string()).into(),
            AccountError::EmailTaken => {
                Self::new(types::EMAIL_TAKEN, "There is an account with this e-mail.")
            }
            AccountError::Unknown => Self::not_found("account"),
            AccountError::LastAdmin => Self::new(types::LAST_ADMIN, "The last active admin must stay one."),
            AccountError::Outdated(stamp) => Self::outdated("account", stamp),
            AccountError::KeyReused => Self::key_reused(),
            AccountError::Login(error) => error.into(),
            AccountError::Store(error) => DatabaseError::from(error).into(),
        }
    }
}
