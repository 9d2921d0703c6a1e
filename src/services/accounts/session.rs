//! Sessions: each begins with a login, and continues with refresh tokens until it ends or is long unused.

use super::{
    Accounts, Caller, LoginError, Token, note_access,
    refresh_token::{Presented, RefreshToken},
    revocations::MAX_CLOCK_SKEW,
};
use crate::{
    config::MAX_TOKEN_MINUTES,
    domain::{
        account::User,
        ids::{SessionId, UserId},
        now,
    },
    store::{
        self, Conn, Store, login_attempts,
        sessions::{self, Session},
        users,
    },
};
use chrono::TimeDelta;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Sessions per account; one more ends the least recently used.
const MAX_SESSIONS: u32 = 20;

/// Interval and batch size of deleting expired rows.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);
const CLEANUP_BATCH_ROWS: i64 = 5_000;

/// A new or continued session. No `Debug`, which would print both tokens.
pub struct IssuedTokens {
    pub user: User,
    pub token: Token,
    pub refresh_token: String,
}

impl Accounts {
    /// Finds the holder of the session that a refresh token names. Changes nothing, and does not verify the
    /// rest of the token: a reused one still names the session that it will end.
    pub async fn owner(&self, token: &RefreshToken) -> Result<Option<Caller>, LoginError> {
        let (session, at) = (token.session, now());
        let owner = self.store.read(async move |conn| {
            let found = sessions::find(conn, session).await?;
            let Some(found) = found.filter(|found| found.ended_at.is_none() && found.expires_at > at) else {
                return Ok(None);
            };
            let user = users::by_id(conn, found.user_id).await?;
            let user = user.map(|(user, _)| user).filter(|user| user.active);
            Ok(user.map(|user| Caller { id: user.id, role: user.role, session }))
        });
        Ok(owner.await?)
    }

    /// Continues the session of a refresh token. A reused token ends it: one of two holders is not its owner.
    pub async fn refresh(&self, token: RefreshToken) -> Result<IssuedTokens, LoginError> {
        let at = now();
        let (expires_at, tokens_until) = (at + self.session_life, at + self.tokens.lifetime);
        let id = token.session;
        let refreshed = self.store.transaction(async move |conn| {
            let session = sessions::lock(conn, id).await?;
            let session = session.filter(|session| session.ended_at.is_none() && session.expires_at > at);
            let Some(mut session) = session else { return Err(LoginError::SessionEnded) };
            let user = users::by_id(conn, session.user_id).await?;
            let Some((user, _)) = user.filter(|(user, _)| user.active) else {
                return Err(LoginError::SessionEnded);
            };
            let next = match token.compare(&session, at) {
                Presented::Current => {
                    let seed = RefreshToken::seed();
                    let next = token.next(&seed);
                    session.previous_hash = Some(token.hash());
                    (session.token_hash, session.seed) = (next.hash(), Some(seed));
                    (session.rotated_at, session.expires_at) = (at, expires_at);
                    next
                }
                Presented::Previous(seed) => token.next(&seed),
                Presented::Reused => {
                    sessions::end(conn, &[id], at).await?;
                    note_access(conn, session.user_id).await?;
                    // No error, because the end of the session must be committed.
                    return Ok(Err(session.user_id));
                }
            };
            session.tokens_until = session.tokens_until.max(tokens_until);
            sessions::renew(conn, &session).await?;
            Ok(Ok((user, next)))
        });
        match refreshed.await? {
            Ok((user, next)) => Ok(self.signed_in(user, id, &next)),
            Err(account) => {
                tracing::warn!(%account, session = %id, "a used refresh token was shown: its session is ended");
                self.revocations.note_change().await;
                Err(LoginError::SessionEnded)
            }
        }
    }

    pub async fn logout(&self, caller: Caller) -> Result<(), LoginError> {
        let ending = self.store.write(async move |conn| {
            sessions::end(conn, &[caller.session], now()).await?;
            note_access(conn, caller.id).await
        });
        ending.await?;
        self.revocations.note_change().await;
        Ok(())
    }

    pub(super) fn new_session(&self, user_id: UserId) -> (Session, RefreshToken) {
        let (id, at) = (SessionId::new_v7(), now());
        let token = RefreshToken::first(id);
        let session = Session {
            id,
            user_id,
            token_hash: token.hash(),
            previous_hash: None,
            seed: None,
            created_at: at,
            rotated_at: at,
            expires_at: at + self.session_life,
            tokens_until: at + self.tokens.lifetime,
            ended_at: None,
        };
        (session, token)
    }

    pub(super) fn signed_in(
        &self,
        user: User,
        session: SessionId,
        refresh_token: &RefreshToken,
    ) -> IssuedTokens {
        let token = self.tokens.issue(&user, session);
        IssuedTokens { user, token, refresh_token: refresh_token.text() }
    }
}

/// Adds a session and ends surplus ones. Part of a transaction that holds the account.
pub(super) async fn begin(conn: &mut Conn, session: &Session) -> store::Result<()> {
    sessions::end_surplus(conn, session.user_id, MAX_SESSIONS - 1, session.created_at).await?;
    sessions::add(conn, session).await
}

/// Deletes expired rows periodically, until `stop`.
pub async fn keep_tidy(store: Store, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(CLEANUP_INTERVAL)).await.is_some() {
        if let Err(error) = tidy(&store).await {
            tracing::debug!(%error, "failed to delete expired sessions");
        }
    }
}

async fn tidy(store: &Store) -> store::Result<()> {
    // An ended session is kept as long as its tokens may last.
    let ended = now() - TimeDelta::minutes(MAX_TOKEN_MINUTES.into()) - MAX_CLOCK_SKEW;
    store.write(async move |conn| sessions::forget(conn, ended, CLEANUP_BATCH_ROWS).await).await?;
    store.write(async move |conn| login_attempts::forget(conn, now(), CLEANUP_BATCH_ROWS).await).await?;
    Ok(())
}
