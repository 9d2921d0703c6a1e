//! Idempotency keys, with the request and the response that each was used for.

use super::{Conn, Error, Result, on, on_locked, schema::idempotency_keys as keys};
use crate::domain::Timestamp;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

/// SHA-256 digest.
pub type Hash = [u8; 32];

/// Maximum of expired keys deleted per request, so that no request does much of it.
const CLEANUP_BATCH_ROWS: i64 = 100;

/// Fingerprint of the request and the stored response.
pub type Earlier = (Vec<u8>, String);

/// Finds the request and the response of a key.
pub async fn find(conn: &mut Conn, name: Hash) -> Result<Option<Earlier>> {
    Ok(on!(conn, c => keys::table
        .find(name.as_slice())
        .select((keys::fingerprint, keys::answer))
        .first(c))
    .optional()?)
}

/// Claims a key in this transaction, which must then [`keep`] a response or roll back. Returns the earlier
/// use of the key, if any; waits for another transaction that has claimed it.
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
        None => Err(Error::unavailable("an idempotency key expired while it was claimed")),
    }
}

pub async fn keep(conn: &mut Conn, name: Hash, answer: &str) -> Result<()> {
    on!(conn, c => diesel::update(keys::table.find(name.as_slice())).set(keys::answer.eq(answer)).execute(c))?;
    Ok(())
}

/// Deletes some of the keys created before `since`, skipping those that another transaction is deleting.
pub async fn forget(conn: &mut Conn, since: Timestamp) -> Result<()> {
    let old = keys::table
        .filter(keys::created_at.lt(since))
        .order(keys::created_at)
        .limit(CLEANUP_BATCH_ROWS)
        .select(keys::name);
    let old: Vec<Vec<u8>> = on_locked!(conn, old, [for_update, skip_locked], load)?;
    if !old.is_empty() {
        on!(conn, c => diesel::delete(keys::table.filter(keys::name.eq_any(&old))).execute(c))?;
    }
    Ok(())
}
