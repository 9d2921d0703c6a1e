use super::{Conn, Result, on, on_locked, schema::login_attempts};
use crate::domain::Timestamp;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

/// Counted attempts under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = login_attempts, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Attempts {
    /// Failures at the time of the last one, less those forgiven.
    pub failures: i32,
    pub failed_at: Timestamp,
    /// Set only for names whose successes are stored.
    pub succeeded_at: Option<Timestamp>,
}

pub async fn find(conn: &mut Conn, name: &[u8]) -> Result<Option<Attempts>> {
    Ok(on!(conn, c => login_attempts::table.find(name).select(Attempts::as_select()).first(c)).optional()?)
}

/// Loads the attempts and locks them until the transaction ends.
pub async fn lock(conn: &mut Conn, name: &[u8]) -> Result<Option<Attempts>> {
    let attempts = login_attempts::table.find(name);
    Ok(on_locked!(conn, attempts.select(Attempts::as_select()), [for_update], first).optional()?)
}

/// Does the same, and begins a count if there is none: of two that begin at once the second waits for the
/// first.
pub async fn lock_or_begin(conn: &mut Conn, name: &[u8], at: Timestamp) -> Result<Attempts> {
    let none = Attempts { failures: 0, failed_at: at, succeeded_at: None };
    on!(conn, c => diesel::insert_into(login_attempts::table)
        .values((login_attempts::name.eq(name), none, login_attempts::forget_at.eq(at)))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(lock(conn, name).await?.unwrap_or(none))
}

/// Stores the attempts until `forget_at`.
pub async fn keep(conn: &mut Conn, name: &[u8], attempts: &Attempts, forget_at: Timestamp) -> Result<()> {
    let kept = (*attempts, login_attempts::forget_at.eq(forget_at));
    on!(conn, c => diesel::insert_into(login_attempts::table)
        .values((login_attempts::name.eq(name), kept))
        .on_conflict(login_attempts::name)
        .do_update()
        .set(kept)
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
