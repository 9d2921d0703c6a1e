use super::{Conn, Result, on, schema::login_attempts};
use crate::domain::Timestamp;
use diesel::{
    AsChangeset, BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl,
    Queryable, Selectable, SelectableHelper,
};
use diesel::{pg::Pg, sqlite::Sqlite};
use diesel_async::RunQueryDsl;

/// Counted attempts under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = login_attempts, check_for_backend(Pg, Sqlite))]
pub struct Attempts {
    /// Failures at the time of the last one, less those forgiven.
    pub failures: i32,
    pub failed_at: Timestamp,
    /// Set only for names whose successes are stored.
    pub succeeded_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Insertable, AsChangeset)]
#[diesel(table_name = login_attempts, primary_key(name), treat_none_as_null = true)]
struct Row<'a> {
    name: &'a [u8],
    failures: i32,
    failed_at: Timestamp,
    succeeded_at: Option<Timestamp>,
    forget_at: Timestamp,
}

fn row<'a>(name: &'a [u8], attempts: &Attempts, forget_at: Timestamp) -> Row<'a> {
    let Attempts { failures, failed_at, succeeded_at } = *attempts;
    Row { name, failures, failed_at, succeeded_at, forget_at }
}

pub async fn find(conn: &mut Conn, name: &[u8]) -> Result<Option<Attempts>> {
    Ok(on!(conn, c => login_attempts::table.find(name).select(Attempts::as_select()).first(c)).optional()?)
}

/// Loads the attempts and locks them until the transaction ends.
pub async fn lock(conn: &mut Conn, name: &[u8]) -> Result<Option<Attempts>> {
    if let Conn::Pg(conn) = conn {
        let query = login_attempts::table.find(name).select(login_attempts::failures).for_update();
        let _: Option<i32> = query.first(&mut **conn).await.optional()?;
    }
    find(conn, name).await
}

/// Does the same, and begins a count if there is none: of two that begin at once the second waits for the
/// first.
pub async fn lock_or_begin(conn: &mut Conn, name: &[u8], at: Timestamp) -> Result<Attempts> {
    let none = Attempts { failures: 0, failed_at: at, succeeded_at: None };
    let row = row(name, &none, at);
    on!(conn, c => diesel::insert_into(login_attempts::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(lock(conn, name).await?.unwrap_or(none))
}

/// Stores the attempts until `forget_at`.
pub async fn keep(conn: &mut Conn, name: &[u8], attempts: &Attempts, forget_at: Timestamp) -> Result<()> {
    let row = row(name, attempts, forget_at);
    on!(conn, c => diesel::insert_into(login_attempts::table)
        .values(row)
        .on_conflict(login_attempts::name)
        .do_update()
        .set(row)
        .execute(c))?;
    Ok(())
}

pub async fn clear(conn: &mut Conn, name: &[u8]) -> Result<()> {
    on!(conn, c => diesel::delete(login_attempts::table.find(name)).execute(c))?;
    Ok(())
}

/// Deletes up to `most` expired rows, and returns their number.
pub async fn forget(conn: &mut Conn, now: Timestamp, most: i64) -> Result<usize> {
    let old: Vec<Vec<u8>> = on!(conn, c => login_attempts::table
        .filter(login_attempts::forget_at.lt(now))
        .select(login_attempts::name)
        .limit(most)
        .load(c))?;
    // Rows that an attempt has renewed meanwhile stay.
    let old = on!(conn, c => {
        let old = login_attempts::name.eq_any(old).and(login_attempts::forget_at.lt(now));
        diesel::delete(login_attempts::table.filter(old)).execute(c)
    })?;
    Ok(old)
}
