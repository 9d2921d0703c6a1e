//! Conversions of domain types to and from SQL types.
//!
//! The domain does not depend on Diesel, so Diesel's traits are derived here, on proxy types.

use super::sql_types::{Timestamptz, Uuid};
use crate::domain::{
    Timestamp,
    account::{Email, Role},
    audit::{Action, Changes, SubjectKind},
    dead_letter::Resolution,
    ids::{DeadLetterId, EntryId, OrderId, RecipeId, SessionId, SubjectId, UserId},
    order::Quantity,
    order_state::Status,
    recipe::{Build, Ingredients, PreparationSeconds},
    text::{Method, Name, Note, StoredText, Table, Username},
};
use diesel::{
    backend::Backend,
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, IsNull, Output, ToSql},
    sql_types as diesel_types,
    sql_types::{Integer, Json, SmallInt, Text},
    sqlite::{Sqlite, SqliteValue},
};

/// Derives what Diesel needs to use a domain type as a value of an SQL type.
macro_rules! proxy {
    ($proxy:ident, $rust:ty, $sql:ty) => {
        #[allow(dead_code, reason = "only carries the derives")]
        #[derive(AsExpression, FromSqlRow)]
        #[diesel(foreign_derive)]
        #[diesel(sql_type = $sql)]
        struct $proxy($rust);
    };
}

/// Id type: `uuid` in PostgreSQL, 16 bytes in SQLite.
macro_rules! id {
    ($proxy:ident, $rust:ty) => {
        proxy!($proxy, $rust, Uuid);

        impl ToSql<Uuid, Pg> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                ToSql::<diesel_types::Uuid, Pg>::to_sql(&self.0, out)
            }
        }

        impl FromSql<Uuid, Pg> for $rust {
            fn from_sql(raw: PgValue<'_>) -> deserialize::Result<Self> {
                FromSql::<diesel_types::Uuid, Pg>::from_sql(raw).map(Self)
            }
        }

        impl ToSql<Uuid, Sqlite> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                ToSql::<diesel_types::Binary, Sqlite>::to_sql(self.0.as_bytes(), out)
            }
        }

        impl FromSql<Uuid, Sqlite> for $rust {
            fn from_sql(mut raw: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
                Ok(Self(uuid::Uuid::from_slice(raw.read_blob())?))
            }
        }
    };
}
id!(DeadLetterIdProxy, DeadLetterId);
id!(EntryIdProxy, EntryId);
id!(OrderIdProxy, OrderId);
id!(RecipeIdProxy, RecipeId);
id!(SessionIdProxy, SessionId);
id!(SubjectIdProxy, SubjectId);
id!(UserIdProxy, UserId);

/// Text type, validated by the domain type when it is read.
macro_rules! text {
    ($proxy:ident, $rust:ty, $read:expr) => {
        proxy!($proxy, $rust, Text);

        impl<DB: Backend> ToSql<Text, DB> for $rust
        where
            str: ToSql<Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                self.as_str().to_sql(out)
            }
        }

        impl<DB: Backend> FromSql<Text, DB> for $rust
        where
            String: FromSql<Text, DB>,
        {
            fn from_sql(raw: DB::RawValue<'_>) -> deserialize::Result<Self> {
                let read: fn(&str) -> Result<Self, String> = $read;
                Ok(read(&String::from_sql(raw)?)?)
            }
        }
    };
}
text!(EmailProxy, Email, |text| text.try_into());
text!(MethodProxy, Method, |text| Method::from_stored(text.to_owned()));
text!(NameProxy, Name, |text| Name::from_stored(text.to_owned()));
text!(NoteProxy, Note, |text| Note::from_stored(text.to_owned()));
text!(TableProxy, Table, |text| Table::from_stored(text.to_owned()));
text!(UsernameProxy, Username, |text| Username::from_stored(text.to_owned()));
text!(ActionProxy, Action, str::parse);
text!(BuildProxy, Build, str::parse);
text!(ResolutionProxy, Resolution, str::parse);
text!(RoleProxy, Role, str::parse);
// `as_str` takes these `Copy` types by value.
text!(StatusProxy, Status, str::parse);
text!(SubjectKindProxy, SubjectKind, str::parse);

/// Integer type, validated by the domain type when it is read.
macro_rules! number {
    ($proxy:ident, $rust:ty, $sql:ty, $number:ty) => {
        proxy!($proxy, $rust, $sql);

        impl ToSql<$sql, Pg> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                ToSql::<$sql, Pg>::to_sql(&<$number>::from(self.get()), &mut out.reborrow())
            }
        }

        impl ToSql<$sql, Sqlite> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                out.set_value(i32::from(self.get()));
                Ok(IsNull::No)
            }
        }

        impl<DB: Backend> FromSql<$sql, DB> for $rust
        where
            $number: FromSql<$sql, DB>,
        {
            fn from_sql(raw: DB::RawValue<'_>) -> deserialize::Result<Self> {
                Ok(i64::from(<$number>::from_sql(raw)?).try_into()?)
            }
        }
    };
}
number!(QuantityProxy, Quantity, SmallInt, i16);
number!(PreparationSecondsProxy, PreparationSeconds, Integer, i32);

proxy!(InstantProxy, Timestamp, Timestamptz);

impl ToSql<Timestamptz, Pg> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<diesel_types::Timestamptz, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<Timestamptz, Pg> for Timestamp {
    fn from_sql(raw: PgValue<'_>) -> deserialize::Result<Self> {
        FromSql::<diesel_types::Timestamptz, Pg>::from_sql(raw).map(Self)
    }
}

impl ToSql<Timestamptz, Sqlite> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        ToSql::<diesel_types::TimestamptzSqlite, Sqlite>::to_sql(&self.0, out)
    }
}

impl FromSql<Timestamptz, Sqlite> for Timestamp {
    fn from_sql(raw: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        FromSql::<diesel_types::TimestamptzSqlite, Sqlite>::from_sql(raw).map(Self)
    }
}

/// Type stored as JSON, validated when it is read.
macro_rules! json {
    ($proxy:ident, $rust:ty, $read:expr) => {
        proxy!($proxy, $rust, Json);

        impl ToSql<Json, Pg> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                serde_json::to_writer(out, self)?;
                Ok(IsNull::No)
            }
        }

        impl ToSql<Json, Sqlite> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                out.set_value(serde_json::to_string(self)?);
                Ok(IsNull::No)
            }
        }

        impl<DB: Backend> FromSql<Json, DB> for $rust
        where
            serde_json::Value: FromSql<Json, DB>,
        {
            fn from_sql(raw: DB::RawValue<'_>) -> deserialize::Result<Self> {
                let read: fn(serde_json::Value) -> serde_json::Result<Self> = $read;
                Ok(read(serde_json::Value::from_sql(raw)?)?)
            }
        }
    };
}
json!(ChangesProxy, Changes, serde_json::from_value);
json!(IngredientsProxy, Ingredients, Ingredients::from_stored);
