//! Identifiers. Each kind has its own type, so that one can't be passed for another.

use super::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[doc = $about:literal])+ $name:ident,)+) => {$(
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            pub fn new_v7() -> Self {
                Self(Uuid::now_v7())
            }
        }

        super::validation::via_serde!(
            $name,
            super::validation::TEXT,
            "must be an id, such as 01a203c7-a828-7562-865f-b3ef9919e243"
        );

        super::openapi_schema::described!($name: super::openapi_schema::formatted(
            concat!($($about),+),
            "uuid",
            "01a203c7-a828-7562-865f-b3ef9919e243",
        ));

        impl super::json::MayBeAbsent for $name {}

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// The id of an order: its primary key, and its message id at the broker.
    OrderId,
    /// The id of an account.
    UserId,
    /// The id of a board: a UUID that its screen made.
    BoardId,
    /// The id of a running process.
    InstanceId,
    /// The id of a session.
    SessionId,
    /// The id of a recipe.
    RecipeId,
    /// The id of a dead letter.
    DeadLetterId,
    /// The id of an entry of the audit trail.
    EntryId,
    /// The id of the subject of an audit entry: an account, a recipe, an order or a dead letter.
    SubjectId,
}

macro_rules! subjects {
    ($($id:ident),+) => {
        $(impl From<$id> for SubjectId {
            fn from(id: $id) -> Self {
                Self(id.0)
            }
        })+
    };
}
subjects!(UserId, RecipeId, OrderId, DeadLetterId);

/// Returns the time at which a `UUIDv7` was generated; other ids contain none.
pub fn generated_at(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanoseconds) = id.get_timestamp().filter(|_| id.get_version_num() == 7)?.to_unix();
    let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
    Timestamp::from_micros(micros.checked_add(i64::from(nanoseconds / 1000))?)
}
