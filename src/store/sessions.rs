//! Sessions: what accounts are signed in with.

use super::{Conn, Result, on, schema::sessions};
use crate::domain::{
    Timestamp,
    ids::{SessionId, UserId},
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};
use diesel::{pg::Pg, sqlite::Sqlite};
use diesel_async::RunQueryDsl;

/// A session as it is stored. Hashes are those of its refresh tokens.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions, check_for_backend(Pg, Sqlite))]
pub struct Session {
    /// In each of its access tokens.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// Of the refresh token that counts.
    pub token_hash: Vec<u8>,
    /// Of the one before.
    pub previous_hash: Option<Vec<u8>>,
    /// What made the one that counts of the one before.
    pub seed: Option<Vec<u8>>,
    /// When it began.
    pub created_at: Timestamp,
    /// When the refresh token that counts was given out.
    pub rotated_at: Timestamp,
    /// When it counts no more.
    pub expires_at: Timestamp,
    /// When the last of its access tokens expires.
    pub tokens_until: Timestamp,
    /// When it was ended before its time.
    pub ended_at: Option<Timestamp>,
}

/// Adds a session.
pub async fn add(conn: &mut Conn, session: &Session) -> Result<()> {
    on!(conn, c => diesel::insert_into(sessions::table).values(session.clone()).execute(c))?;
    Ok(())
}

/// A session as it is now.
pub async fn find(conn: &mut Conn, id: SessionId) -> Result<Option<Session>> {
    Ok(on!(conn, c => sessions::table.find(id).select(Session::as_select()).first(c)).optional()?)
}

/// A session, which nobody else changes until this transaction ends.
pub async fn lock(conn: &mut Conn, id: SessionId) -> Result<Option<Session>> {
    if let Conn::Pg(conn) = conn {
        let query = sessions::table.find(id).select(sessions::id).for_update();
        let _: Option<SessionId> = query.first(&mut **conn).await.optional()?;
    }
    find(conn, id).await
}

/// Writes down that a session's tokens were given out anew.
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

/// Ends a session, unless it has ended.
pub async fn end(conn: &mut Conn, id: SessionId, at: Timestamp) -> Result<()> {
    end_those(conn, &[id], at).await
}

/// Ends the sessions of an account, but for `kept`.
pub async fn end_all(conn: &mut Conn, user: UserId, kept: Option<SessionId>, at: Timestamp) -> Result<()> {
    let mut live = live(conn, user, 0).await?;
    live.retain(|id| kept != Some(*id));
    end_those(conn, &live, at).await
}

/// Ends those of an account's sessions that were out of use for longest, but for the `most` latest.
pub async fn end_surplus(conn: &mut Conn, user: UserId, most: u32, at: Timestamp) -> Result<()> {
    let surplus = live(conn, user, most).await?;
    end_those(conn, &surplus, at).await
}

/// An account's sessions that were not ended, last used first, without the first ones.
async fn live(conn: &mut Conn, user: UserId, without: u32) -> Result<Vec<SessionId>> {
    let live = sessions::table
        .filter(sessions::user_id.eq(user).and(sessions::ended_at.is_null()))
        .order((sessions::rotated_at.desc(), sessions::id.desc()))
        .select(sessions::id)
        // SQLite knows no offset without a limit.
        .limit(i64::MAX)
        .offset(without.into());
    Ok(on!(conn, c => live.load(c))?)
}

async fn end_those(conn: &mut Conn, ids: &[SessionId], at: Timestamp) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    on!(conn, c => {
        let live = sessions::table.filter(sessions::id.eq_any(ids).and(sessions::ended_at.is_null()));
        diesel::update(live).set((sessions::ended_at.eq(at), sessions::expires_at.eq(at))).execute(c)
    })?;
    Ok(())
}

/// The sessions that were ended and had given out access tokens that last beyond `since`.
pub async fn ended_with_tokens(conn: &mut Conn, since: Timestamp) -> Result<Vec<SessionId>> {
    Ok(on!(conn, c => sessions::table
        .filter(sessions::ended_at.is_not_null().and(sessions::tokens_until.gt(since)))
        .select(sessions::id)
        .load(c))?)
}

/// Deletes up to `most` sessions that counted no more at `before`, and returns how many.
pub async fn forget(conn: &mut Conn, before: Timestamp, most: i64) -> Result<usize> {
    let old: Vec<SessionId> = on!(conn, c => sessions::table
        .filter(sessions::expires_at.lt(before))
        .select(sessions::id)
        .limit(most)
        .load(c))?;
    // What is over stays so.
    Ok(on!(conn, c => diesel::delete(sessions::table.filter(sessions::id.eq_any(old))).execute(c))?)
}
