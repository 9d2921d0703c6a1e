//! Accounts: registration, login, sessions and access rights.

mod access_token;
mod deactivation;
mod error;
mod hashing_pool;
mod login;
mod login_throttle;
mod passwords;
mod refresh_token;
mod registration;
mod revocations;
mod session;

pub use crate::domain::filters::UserFilter;
pub use access_token::{Token, Tokens};
pub use deactivation::keep_cancelling;
pub use error::{AccountError, LoginError};
pub use hashing_pool::{HashingError, HashingSlot, PasswordHasher};
pub use login_throttle::{ClaimedAccount, LoginThrottle};
pub use passwords::{Verdict, is_guessable, personal};
pub use refresh_token::RefreshToken;
pub use registration::new_user;
pub use revocations::Revocations;
pub use session::{IssuedTokens, keep_tidy};

use crate::{
    domain::{
        Timestamp,
        account::{Role, User},
        change_set::ChangeSet,
        ids::{SessionId, UserId},
        now,
        text::Search,
        version::Precondition,
    },
    services::audit,
    store::{self, Conn, Store, changes, sessions, users},
};
use chrono::TimeDelta;

/// Accounts that a search examines before its page ends, however few match, and accounts per query.
const MAX_SEARCHED_USERS: i64 = 20_000;
const SEARCH_BATCH_USERS: i64 = 1_000;

/// Sort key of the last account on a page.
pub type UserPageKey = (Timestamp, UserId);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub id: UserId,
    pub role: Role,
    pub session: SessionId,
}

pub struct Accounts {
    pub store: Store,
    pub passwords: PasswordHasher,
    pub tokens: Tokens,
    pub revocations: Revocations,
    pub throttle: LoginThrottle,
    /// Time after which an unused session ends.
    pub session_life: TimeDelta,
}

impl Accounts {
    /// Returns the caller with this access token. Does not use the database.
    pub fn caller(&self, token: &str) -> Result<Caller, LoginError> {
        let holder = self.tokens.verify(token).ok_or(LoginError::NotSignedIn)?;
        self.revocations.now(holder).ok_or(LoginError::NotSignedIn)
    }

    /// Returns an earlier caller with the current role, unless the session or the account has ended since.
    pub fn current(&self, caller: Caller) -> Option<Caller> {
        self.revocations.now(caller)
    }

    pub async fn find(&self, id: UserId) -> Result<User, AccountError> {
        let found = self.store.read(async move |conn| users::by_id(conn, id).await).await?;
        found.map(|(user, _)| user).ok_or(AccountError::Unknown)
    }

    /// Loads a page of accounts, oldest first, after the position `after`.
    pub async fn page(
        &self,
        filter: UserFilter,
        after: Option<UserPageKey>,
        limit: i64,
    ) -> Result<Vec<User>, AccountError> {
        Ok(self.store.read(async move |conn| users::page(conn, filter, after, limit).await).await?)
    }

    /// Loads a page of accounts whose name or address matches the search. Also returns where the search
    /// stopped, if it stopped before the page was full and before the end of the list.
    pub async fn search(
        &self,
        search: &Search,
        filter: UserFilter,
        mut after: Option<UserPageKey>,
        limit: usize,
    ) -> Result<(Vec<User>, Option<UserPageKey>), AccountError> {
        let pattern = search.pattern();
        let mut found = Vec::new();
        for _ in 0..MAX_SEARCHED_USERS / SEARCH_BATCH_USERS {
            let some = self.page(filter, after, SEARCH_BATCH_USERS).await?;
            let is_end = i64::try_from(some.len()).is_ok_and(|read| read < SEARCH_BATCH_USERS);
            after = some.last().map(|user| (user.created_at, user.id));
            found.extend(
                some.into_iter().filter(|user| pattern.is_in([user.username.as_str(), user.email.as_str()])),
            );
            if is_end || found.len() >= limit {
                found.truncate(limit);
                return Ok((found, None));
            }
        }
        Ok((found, after))
    }

    /// Sets the role or the activity of an account; every process applies it within seconds. Deactivating an
    /// account ends its sessions and cancels its pending orders.
    pub async fn set_access(
        &self,
        by: UserId,
        id: UserId,
        role: Option<Role>,
        active: Option<bool>,
        condition: Precondition,
    ) -> Result<User, AccountError> {
        let (changed, cancelled) = self
            .store
            .transaction(async move |conn| {
                // Locked before the account, so that two admins who deactivate each other don't deadlock.
                let may_end = role.is_some_and(|role| role != Role::Admin) || active == Some(false);
                let others =
                    if may_end { users::lock_other_active_admins(conn, id).await? } else { usize::MAX };
                let Some((before, _)) = users::lock(conn, id).await? else {
                    return Err(AccountError::Unknown);
                };
                if !condition.allows(before.entity_version()) {
                    return Err(AccountError::Outdated(before.entity_version()));
                }
                let stays = role.unwrap_or(before.role) == Role::Admin && active.unwrap_or(before.active);
                let is_one = before.role == Role::Admin && before.active;
                if is_one && !stays && others == 0 {
                    return Err(AccountError::LastAdmin);
                }
                let after = users::set_access(conn, id, role, active, now()).await?;
                let Some(after) = after else { return Err(AccountError::Unknown) };
                let mut cancelled = 0;
                if active == Some(false) {
                    sessions::end_all(conn, id, None, now()).await?;
                    cancelled = deactivation::cancel(conn, by, id, None).await?;
                }
                audit::record_access(conn, by, &before, &after).await?;
                note_access(conn, id).await?;
                Ok((after, cancelled))
            })
            .await?;
        deactivation::count(cancelled);
        self.revocations.note_change().await;
        Ok(changed)
    }
}

/// Adds to the feed that the access of an account changed. Belongs in the transaction of the change.
async fn note_access(conn: &mut Conn, account: UserId) -> store::Result<()> {
    changes::append(conn, &ChangeSet::of_access(vec![account]), now()).await
}
