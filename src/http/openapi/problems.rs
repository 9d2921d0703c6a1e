//! Problems that a route may answer with, as sets of types that handlers name. [`super::responses`] writes them out.

use crate::http::problem::types::{self, ProblemType};
use std::collections::BTreeMap;
use utoipa::{
    IntoResponses,
    openapi::{RefOr, Response},
};

macro_rules! sets {
    ($($set:ident: $($kind:ident),+;)+) => {
        $(
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
    ForBody: MALFORMED_REQUEST, TOO_SLOW, TOO_LARGE, NOT_JSON, INVALID, VALUE_REFUSED;
    Changed: PRECONDITION_FAILED, INVALID;
    MustHaveMatch: PRECONDITION_REQUIRED;
    ForQuery: INVALID;
    ForToken: NOT_SIGNED_IN; // NOT_PERMITTED follows from a role in the operation's security.
    NotPermitted: NOT_PERMITTED;
    Missing: NOT_FOUND;
    MissingOrder: NOT_FOUND, NO_LONGER_STORED;
    Unavailable: UNAVAILABLE, OUTCOME_UNKNOWN;
    WrongPassword: WRONG_PASSWORD;
    SessionEnded: SESSION_ENDED;
    TooManyFailures: TOO_MANY_FAILURES;
    AccountInactive: ACCOUNT_INACTIVE;
    EmailTaken: EMAIL_TAKEN;
    IllegalMove: ILLEGAL_MOVE;
    LastAdmin: LAST_ADMIN;
    RecipeExists: RECIPE_EXISTS;
    OtherFeed: OTHER_FEED;
    Replayed: REPLAYED;
    Unstorable: UNSTORABLE;
    SoldOut: SOLD_OUT;
    TooManyOpen: TOO_MANY_OPEN;
    KeyReused: IDEMPOTENCY_KEY_REUSED, INVALID;
}

/// Stands for a type of problem until it is written out: a route may have several of one status, and utoipa keeps one.
fn named(kind: &ProblemType) -> (String, RefOr<Response>) {
    (format!("{} {}", kind.status.as_str(), kind.name), Response::default().into())
}
