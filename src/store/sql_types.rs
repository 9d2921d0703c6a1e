//! SQL types whose representation differs between the databases, and conversions of domain types to and from SQL types.
//!
//! These SQL types shadow Diesel's own of the same name in the printed schema. The domain does not depend on Diesel, so Diesel's traits
//! are derived here, on proxy types.

use crate::domain::{
    Timestamp,
    account::{Email, Role},
    audit::{Action, Changes, SubjectKind},
    dead_letter::Resolution,
    ids::{BoardId, DeadLetterId, EntryId, InstanceId, OrderId, RecipeId, SessionId, SubjectId, UserId},
    order::Quantity,
    order_state::Status,
    recipe::{Build, Ingredients, PreparationSeconds},
    text::{Method, Name, Note, StoredText, Table, Username},
};
use diesel::{
    backend::Backend,
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::Pg,
    query_builder::QueryId,
    serialize::{self, IsNull, Output, ToSql},
    sql_types as diesel_types,
    sql_types::{Integer, Interval, Json, SmallInt, SqlOrd, SqlType, Text, ops},
    sqlite::{Sqlite, SqliteValue},
};

/// `uuid` in PostgreSQL, a 16-byte blob in SQLite.
#[derive(Debug, Clone, Copy, QueryId, SqlType)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951), sqlite_type(name = "Binary"))]
pub struct Uuid;

/// `timestamptz` in PostgreSQL, text that sorts by time in SQLite.
#[derive(Debug, Clone, Copy, QueryId, SqlType)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185), sqlite_type(name = "Text"))]
pub struct Timestamptz;

// `table!` goes by the type's name and expects what Diesel's own type of that name can do.
impl ops::Add for Timestamptz {
    type Rhs = Interval;
    type Output = Self;
}

impl ops::Sub for Timestamptz {
    type Rhs = Interval;
    type Output = Self;
}

impl SqlOrd for Timestamptz {}

/// Derives what Diesel needs to use a domain type as a value of an SQL type.
macro_rules! proxy {
    ($rust:ty, $sql:ty) => {
        const _: () = {
            #[allow(dead_code, reason = "only carries the derives")]
            #[derive(AsExpression, FromSqlRow)]
            #[diesel(foreign_derive)]
            #[diesel(sql_type = $sql)]
            struct Proxy($rust);
        };
    };
}

/// Converts a newtype as Diesel converts the value in it, which has the SQL type `$inner` there.
macro_rules! newtype {
    ($rust:ty, $sql:ty, $db:ty, $inner:ty) => {
        impl ToSql<$sql, $db> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, $db>) -> serialize::Result {
                ToSql::<$inner, $db>::to_sql(&self.0, out)
            }
        }

        impl FromSql<$sql, $db> for $rust {
            fn from_sql(raw: <$db as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                FromSql::<$inner, $db>::from_sql(raw).map(Self)
            }
        }
    };
}

proxy!(Timestamp, Timestamptz);
newtype!(Timestamp, Timestamptz, Pg, diesel_types::Timestamptz);
newtype!(Timestamp, Timestamptz, Sqlite, diesel_types::TimestamptzSqlite);

/// Id types: `uuid` in PostgreSQL, 16 bytes in SQLite.
macro_rules! ids {
    ($($rust:ty),+) => {$(
        proxy!($rust, Uuid);
        newtype!($rust, Uuid, Pg, diesel_types::Uuid);

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
    )+};
}
ids!(BoardId, DeadLetterId, EntryId, InstanceId, OrderId, RecipeId, SessionId, SubjectId, UserId);

/// Text types, validated by the domain type when they are read.
macro_rules! texts {
    ($read:expr => $($rust:ty),+) => {$(
        proxy!($rust, Text);

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
    )+};
}
texts!(|text| text.try_into() => Email);
texts!(|text| StoredText::from_stored(text.to_owned()) => Method, Name, Note, Table, Username);
// `as_str` of `Status` takes this `Copy` type by value.
texts!(str::parse => Action, Build, Resolution, Role, Status, SubjectKind);

/// Integer type, validated by the domain type when it is read.
macro_rules! number {
    ($rust:ty, $sql:ty, $number:ty) => {
        proxy!($rust, $sql);

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
number!(Quantity, SmallInt, i16);
number!(PreparationSeconds, Integer, i32);

/// Type stored as JSON, validated when it is read.
macro_rules! json {
    ($rust:ty, $read:expr) => {
        proxy!($rust, Json);

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
json!(Changes, serde_json::from_value);
json!(Ingredients, Ingredients::from_stored);
