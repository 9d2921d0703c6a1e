//! What the use cases refuse, as problems.

use super::{
    super::{kind, views::OrderView},
    Problem,
};
use crate::{
    accounts::Denied,
    bar::{NoCustomer, NotMoved},
    dead_letters::NotResolved,
    domain::Invalid,
    intake::{NotTaken, Refusal},
    menu::{Error, NotChanged, Unique},
};
use std::fmt;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(cause) => Self::unavailable(&cause),
            Error::Undecided(cause) => Self::outcome_unknown(&cause),
            Error::InvalidValue(cause) => Self::value_refused(&cause),
            Error::Taken(Unique::RecipeName) => {
                Self::new(kind::RECIPE_EXISTS, "There is a drink of that name on the menu.")
            }
            Error::Taken(_) | Error::UnknownReference(_) | Error::Refused(_) => Self::internal(&error),
        }
    }
}

impl From<NotTaken> for Problem {
    fn from(error: NotTaken) -> Self {
        match error {
            NotTaken::Invalid(fields) => Self::of_fields(fields),
            NotTaken::SoldOut(name) => Self::new(kind::SOLD_OUT, format!("{name} is sold out.")),
            NotTaken::NotForOthers => Self::not_permitted("Only staff order for others."),
            NotTaken::Conflict => Self::new(
                kind::IDEMPOTENCY_KEY_REUSED,
                "Another order was placed under this Idempotency-Key.",
            ),
            NotTaken::TooManyOpen(too_many) => Self::new(kind::TOO_MANY_OPEN, too_many.to_string()),
            // The menu is ours, so it is the customer that is not there: a token of another installation.
            NotTaken::Refused(Refusal::Unknown(_)) => Self::not_signed_in(),
            NotTaken::Refused(Refusal::InvalidValue(reason)) => Self::value_refused(&reason),
            NotTaken::Refused(Refusal::Other(reason)) => Self::internal(&reason),
            NotTaken::Unavailable => Self::unavailable(&error),
            NotTaken::Undecided => Self::outcome_unknown(&error),
            NotTaken::Store(error) => error.into(),
        }
    }
}

impl From<NotMoved> for Problem {
    fn from(error: NotMoved) -> Self {
        match error {
            NotMoved::Unknown => Self::not_found("order"),
            NotMoved::Conflict(order) => {
                let detail = format!("The order is {}: that can't be done with it.", order.status);
                let mut problem = Self::new(kind::ILLEGAL_MOVE, detail);
                problem.order = Some(Box::new(OrderView::from(*order)));
                problem
            }
            NotMoved::Outdated(order) => {
                let mut problem = Self::outdated("order", order.stamp());
                problem.order = Some(Box::new(OrderView::from(*order)));
                problem
            }
            NotMoved::Store(error) => error.into(),
        }
    }
}

impl From<NoCustomer> for Problem {
    fn from(error: NoCustomer) -> Self {
        match error {
            NoCustomer::Unknown => Self::not_found("customer"),
            NoCustomer::Store(error) => error.into(),
        }
    }
}

impl From<NotChanged> for Problem {
    fn from(error: NotChanged) -> Self {
        match error {
            NotChanged::Unknown => Self::not_found("recipe"),
            NotChanged::Outdated(stamp) => Self::outdated("recipe", stamp),
            NotChanged::ReadOnly(fields) => Self::of_fields(fields),
            NotChanged::Store(error) => error.into(),
        }
    }
}

impl From<NotResolved> for Problem {
    fn from(error: NotResolved) -> Self {
        match error {
            NotResolved::Unknown => Self::not_found("dead letter"),
            NotResolved::Unstorable(_) => Self::new(kind::UNSTORABLE, sentence(&error)),
            NotResolved::Replayed => Self::new(kind::REPLAYED, sentence(&error)),
            NotResolved::Store(error) => error.into(),
        }
    }
}

/// An error's message as a sentence.
fn sentence(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str().trim_end_matches('.'))
}

impl From<Denied> for Problem {
    fn from(error: Denied) -> Self {
        match error {
            Denied::WrongPassword => Self::new(kind::WRONG_PASSWORD, "The e-mail or the password is wrong."),
            Denied::Inactive => Self::new(kind::ACCOUNT_INACTIVE, "This account is switched off."),
            Denied::NotSignedIn => Self::not_signed_in(),
            Denied::SessionEnded => Self::new(
                kind::SESSION_ENDED,
                "This needs the latest refresh token of a session that goes on.",
            ),
            Denied::TooManyFailures(wait) => Self::too_many_failures(wait),
            Denied::Guessable => Invalid::new("password", error.to_string()).into(),
            Denied::EmailTaken => Self::new(kind::EMAIL_TAKEN, "There is an account with this e-mail."),
            Denied::Unknown => Self::not_found("account"),
            Denied::LastAdmin => Self::new(kind::LAST_ADMIN, "The last active admin must stay one."),
            Denied::Outdated(stamp) => Self::outdated("account", stamp),
            Denied::KeyReused => Self::key_reused(),
            Denied::Busy | Denied::NoThreads(_) => Self::unavailable(&error),
            Denied::Store(error) => error.into(),
        }
    }
}
