//! SQL types whose representation differs between the databases. They shadow Diesel's own of the same name in the printed
//! schema.

use diesel::{
    query_builder::QueryId,
    sql_types::{Interval, SqlOrd, SqlType, ops},
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
