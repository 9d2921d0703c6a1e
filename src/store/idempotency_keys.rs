//! What was asked for under an `Idempotency-Key`, and what was answered.

use super::{Conn, Error, Result, on, schema::idempotency_keys as keys};
use crate::domain::Timestamp;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl};
use diesel_async::RunQueryDsl;

/// A SHA-256.
pub type Hash = [u8; 32];

/// The most keys that are forgotten at a time: no request does much of it.
const CLEANUP_BATCH_ROWS: i64 = 100;

/// What was asked for under a key, and what was answered.
pub type Earlier = (Vec<u8>, String);

/// What the key was used for, if it was.
pub async fn find(conn: &mut Conn, name: Hash) -> Result<Option<Earlier>> {
    Ok(on!(conn, c => keys::table
        .find(name.as_slice())
        .select((keys::fingerprint, keys::answer))
        .first(c))
    .optional()?)
}

/// Takes a key for this transaction, which must [`keep`] it or fail. If it was used before, returns for what. Another
/// transaction that has taken it is waited for.
pub async fn claim(conn: &mut Conn, name: Hash, fingerprint: Hash, at: Timestamp) -> Result<Option<Earlier>> {
    let row = (
        keys::name.eq(name.as_slice()),
        keys::fingerprint.eq(fingerprint.as_slice()),
        keys::answer.eq(""),
        keys::created_at.eq(at),
    );
    let claimed =
        on!(conn, c => diesel::insert_into(keys::table).values(row).on_conflict_do_nothing().execute(c))?;
    if claimed == 1 {
        return Ok(None);
    }
    match find(conn, name).await? {
        Some(earlier) => Ok(Some(earlier)),
        None => Err(Error::unavailable("a key was forgotten while it was asked for")),
    }
}

/// Writes down what was answered.
pub async fn keep(conn: &mut Conn, name: Hash, answer: &str) -> Result<()> {
    on!(conn, c => diesel::update(keys::table.find(name.as_slice())).set(keys::answer.eq(answer)).execute(c))?;
    Ok(())
}

/// Forgets some of the keys from before `since`. Those that somebody else is forgetting are left to them.
pub async fn forget(conn: &mut Conn, since: Timestamp) -> Result<()> {
    let old = keys::table
        .filter(keys::created_at.lt(since))
        .order(keys::created_at)
        .limit(CLEANUP_BATCH_ROWS)
        .select(keys::name);
    let old: Vec<Vec<u8>> = match conn {
        Conn::Pg(conn) => old.for_update().skip_locked().load(&mut **conn).await?,
        Conn::Sqlite(conn) => old.load(&mut **conn).await?,
    };
    if !old.is_empty() {
        on!(conn, c => diesel::delete(keys::table.filter(keys::name.eq_any(&old))).execute(c))?;
    }
    Ok(())
}
