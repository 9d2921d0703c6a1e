//! Identifiers. Each kind has a type of its own, so that one can't be passed for another.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[doc = $about:literal])+ $name:ident) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new, time-ordered id (UUIDv7).
            pub fn new_v7() -> Self {
                Self(Uuid::now_v7())
            }
        }

        super::validation::whole!(
            $name,
            super::validation::TEXT,
            "must be an id, such as 01a203c7-a828-7562-865f-b3ef9919e243"
        );

        super::openapi_schema::described!($name: super::openapi_schema::formatted(
            concat!($($about),+),
            "uuid",
            "01a203c7-a828-7562-865f-b3ef9919e243",
        ));

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
    };
}

id!(
    /// Names an order: its primary key, and its message id at the broker.
    OrderId
);
id!(
    /// Names an account.
    UserId
);
id!(
    /// Names a session of an account.
    SessionId
);
id!(
    /// Names a recipe.
    RecipeId
);
id!(
    /// Names a dead letter.
    DeadLetterId
);
id!(
    /// Names an entry of the audit trail.
    EntryId
);
id!(
    /// Names what an entry of the audit trail is about: an account, a recipe, an order or a dead letter.
    SubjectId
);

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
