//! Which problems a route may answer with, as sets of kinds that handlers name. [`super::responses`] writes them out.

use crate::http::problem::types::{self, ProblemType};
use std::collections::BTreeMap;
use utoipa::{
    IntoResponses,
    openapi::{RefOr, Response},
};

macro_rules! sets {
    ($($(#[$doc:meta])+ $set:ident: $($kind:ident),+;)+) => {
        $(
            $(#[$doc])+
            pub struct $set;

            impl IntoResponses for $set {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    [$(types::$kind),+].into_iter().map(named).collect()
                }
            }
        )+
    };
}

sets! {
    /// What can be wrong with a body.
    ForBody: MALFORMED_REQUEST, TOO_SLOW, TOO_LARGE, NOT_JSON, INVALID, VALUE_REFUSED;
    /// What is changed is not what the client has seen.
    Changed: PRECONDITION_FAILED, INVALID;
    /// The client must say what it has seen.
    MustHaveMatch: PRECONDITION_REQUIRED;
    /// What can be wrong with a query string.
    ForQuery: INVALID;
    /// What can be wrong with a token. (Where an operation names a role, that the role may be another follows from it.)
    ForToken: NOT_SIGNED_IN;
    /// It is for others.
    NotPermitted: NOT_PERMITTED;
    /// It is not there.
    Missing: NOT_FOUND;
    /// It is not there, or no longer.
    MissingOrder: NOT_FOUND, NO_LONGER_STORED;
    /// What is needed is away, or there is too much to do.
    Unavailable: UNAVAILABLE, OUTCOME_UNKNOWN;
    /// Nobody has this e-mail and this password.
    WrongPassword: WRONG_PASSWORD;
    /// The session does not go on.
    SessionEnded: SESSION_ENDED;
    /// Too many passwords were wrong.
    TooManyFailures: TOO_MANY_FAILURES;
    /// The account is switched off.
    AccountInactive: ACCOUNT_INACTIVE;
    /// An e-mail is in use.
    EmailTaken: EMAIL_TAKEN;
    /// A move that an order can't make.
    IllegalMove: ILLEGAL_MOVE;
    /// There would be no admin left.
    LastAdmin: LAST_ADMIN;
    /// A name is on the menu.
    RecipeExists: RECIPE_EXISTS;
    /// A dead letter's order is stored.
    Replayed: REPLAYED;
    /// A dead letter stays one.
    Unstorable: UNSTORABLE;
    /// A drink is sold out.
    SoldOut: SOLD_OUT;
    /// A customer has too many open orders.
    TooManyOpen: TOO_MANY_OPEN;
    /// A key stands for something else, or is none.
    KeyReused: IDEMPOTENCY_KEY_REUSED, INVALID;
}

/// Stands for a kind of problem until it is written out: a route may know several of one status.
fn named(kind: &ProblemType) -> (String, RefOr<Response>) {
    (format!("{} {}", kind.status.as_str(), kind.name), Response::default().into())
}
