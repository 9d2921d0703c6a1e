//! Sessions, in which accounts are signed in.

use super::{Conn, Result, on, on_locked, schema::sessions};
use crate::domain::{
    Timestamp,
    ids::{SessionId, UserId},
};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

/// A stored session. Hashes are of its refresh tokens.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub struct Session {
    /// Also in each of its access tokens.
    pub id: SessionId,
    pub user_id: UserId,
    /// Of the current refresh token.
    pub token_hash: Vec<u8>,
    /// Of the previous refresh token.
    pub previous_hash: Option<Vec<u8>>,
    /// Derives the current token from the previous one.
    pub seed: Option<Vec<u8>>,
    pub created_at: Timestamp,
    /// Time at which the current refresh token was issued.
    pub rotated_at: Timestamp,
    pub expires_at: Timestamp,
    /// Expiry of its last access token.
    pub tokens_until: Timestamp,
    /// Set if it was ended before it expired.
    pub ended_at: Option<Timestamp>,
}

pub async fn add(conn: &mut Conn, session: &Session) -> Result<()> {
    on!(conn, c => diesel::insert_into(sessions::table).values(session.clone()).execute(c))?;
    Ok(())
}

pub async fn find(conn: &mut Conn, id: SessionId) -> Result<Option<Session>> {
    Ok(on!(conn, c => sessions::table.find(id).select(Session::as_select()).first(c)).optional()?)
}

/// Finds a session, and locks it until the transaction ends.
pub async fn lock(conn: &mut Conn, id: SessionId) -> Result<Option<Session>> {
    let session = sessions::table.find(id);
    Ok(on_locked!(conn, session.select(Session::as_select()), [for_update], first).optional()?)
}

/// Stores that new tokens were issued.
pub async fn renew(conn: &mut Conn, session: &Session) -> Result<()> {
    let renewed = (
        sessions::token_hash.eq(&session.token_hash),
        sessions::previous_hash.eq(&session.previous_hash),
        sessions::seed.eq(&session.seed),
        sessions::rotated_at.eq(session.rotated_at),
        sessions::expires_at.eq(session.expires_at),
        sessions::tokens_until.eq(session.tokens_until),
    );
    on!(conn, c => diesel::update(sessions::table.find(session.id)).set(renewed).execute(c))?;
    Ok(())
}

/// Ends the sessions of an account, except `kept`.
pub async fn end_all(conn: &mut Conn, user: UserId, kept: Option<SessionId>, at: Timestamp) -> Result<()> {
    let mut live = live(conn, user, 0).await?;
    live.retain(|id| kept != Some(*id));
    end(conn, &live, at).await
}

/// Ends all sessions of an account except the `most` recently used.
pub async fn end_surplus(conn: &mut Conn, user: UserId, most: u32, at: Timestamp) -> Result<()> {
    let surplus = live(conn, user, most).await?;
    end(conn, &surplus, at).await
}

/// Loads the sessions of an account that were not ended, most recently used first, without the first ones.
async fn live(conn: &mut Conn, user: UserId, without: u32) -> Result<Vec<SessionId>> {
    let live = sessions::table
        .filter(sessions::user_id.eq(user).and(sessions::ended_at.is_null()))
        .order((sessions::rotated_at.desc(), sessions::id.desc()))
        .select(sessions::id)
        // SQLite has no OFFSET without LIMIT.
        .limit(i64::MAX)
        .offset(without.into());
    Ok(on!(conn, c => live.load(c))?)
}

/// Ends those of these sessions that have not ended.
pub async fn end(conn: &mut Conn, ids: &[SessionId], at: Timestamp) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    on!(conn, c => {
        let live = sessions::table.filter(sessions::id.eq_any(ids).and(sessions::ended_at.is_null()));
        diesel::update(live).set((sessions::ended_at.eq(at), sessions::expires_at.eq(at))).execute(c)
    })?;
    Ok(())
}

/// Loads ended sessions whose access tokens expire after `since`.
pub async fn ended_with_tokens(conn: &mut Conn, since: Timestamp) -> Result<Vec<SessionId>> {
    Ok(on!(conn, c => sessions::table
        .filter(sessions::ended_at.is_not_null().and(sessions::tokens_until.gt(since)))
        .select(sessions::id)
        .load(c))?)
}

/// Deletes up to `most` sessions that had ended or expired at `before`, and returns their number.
pub async fn forget(conn: &mut Conn, before: Timestamp, most: i64) -> Result<usize> {
    let old: Vec<SessionId> = on!(conn, c => sessions::table
        .filter(sessions::expires_at.lt(before))
        .select(sessions::id)
        .limit(most)
        .load(c))?;
    // An ended session never changes.
    Ok(on!(conn, c => diesel::delete(sessions::table.filter(sessions::id.eq_any(old))).execute(c))?)
}
