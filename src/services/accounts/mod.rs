//! Accounts: registration, login, sessions and access rights.

mod access_token;
mod deactivation;
mod hashing_pool;
mod login;
mod login_throttle;
mod passwords;
mod refresh_token;
mod revocations;
mod session;

pub use crate::store::users::UserFilter;
pub use access_token::{Token, Tokens};
pub use deactivation::keep_cancelling;
pub use login_throttle::{ClaimedAccount, LoginThrottle};
pub use passwords::{HashingSlot, PasswordHasher, Verdict, is_guessable};
pub use refresh_token::RefreshToken;
pub use revocations::Revocations;
pub use session::{IssuedTokens, keep_tidy};

use crate::{
    domain::{
        Timestamp,
        account::{Email, Password, Role, User},
        audit::{Action, Changes},
        ids::{SessionId, UserId},
        now,
        text::{Search, Username},
        version::{EntityVersion, Precondition},
    },
    services::{
        audit,
        idempotency::{IdempotencyOutcome, IdempotentRequest, once},
    },
    store::{self, Store, TransactionError, Unique, sessions, users},
};
use chrono::TimeDelta;
use serde_json::json;
use std::{io, net::IpAddr};

/// Accounts that a search examines before its page ends, however few match, and accounts per query.
const MAX_SEARCHED_USERS: i64 = 20_000;
const SEARCH_BATCH_USERS: i64 = 1_000;

/// Sort key of the last account on a page.
pub type UserPageKey = (Timestamp, UserId);

/// Maker of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub id: UserId,
    /// The current role.
    pub role: Role,
    pub session: SessionId,
}

#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Unknown e-mail or wrong password; which of them is not revealed.
    #[error("wrong e-mail or password")]
    WrongPassword,
    #[error("is too easy to guess")]
    Guessable,
    #[error("the account is inactive")]
    Inactive,
    /// The token is missing, forged or expired, or its session has ended.
    #[error("not signed in")]
    NotSignedIn,
    /// The refresh token is not the current one, or its session has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// The next attempt has to wait for this time.
    #[error("too many failed logins")]
    TooManyFailures(TimeDelta),
    #[error("the address is taken")]
    EmailTaken,
    #[error("no such account")]
    Unknown,
    /// The last active admin can't be demoted or deactivated.
    #[error("the last admin stays")]
    LastAdmin,
    /// The precondition does not hold; contains the current version.
    #[error("the account has changed")]
    Outdated(EntityVersion),
    /// Another account was registered under the key.
    #[error("another account was made under this key")]
    KeyReused,
    /// The queue for hashing passwords is full.
    #[error("too many passwords are being checked")]
    Busy,
    #[error("the threads that hash passwords can't be started: {0}")]
    NoThreads(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl TransactionError for AccountError {
    fn into_refusal(self) -> Result<Self, store::Error> {
        match self {
            Self::Store(error) => Err(error),
            refusal => Ok(refusal),
        }
    }
}

pub struct Accounts {
    store: Store,
    passwords: PasswordHasher,
    tokens: Tokens,
    access: Revocations,
    guard: LoginThrottle,
    session_life: TimeDelta,
}

impl Accounts {
    /// Takes the time after which unused sessions end.
    pub fn new(
        store: Store,
        passwords: PasswordHasher,
        tokens: Tokens,
        access: Revocations,
        guard: LoginThrottle,
        session_life: TimeDelta,
    ) -> Self {
        Self { store, passwords, tokens, access, guard, session_life }
    }

    /// Registers a customer, once per key, and signs it in from this address.
    pub async fn register(
        &self,
        username: Username,
        email: Email,
        password: &Password,
        address: IpAddr,
        key: Option<&str>,
    ) -> Result<IssuedTokens, AccountError> {
        let user = new_user(username, email, Role::Customer);
        let once_only = || key.map(|key| registration(&user, key));
        // A repeated request needs no new hash.
        if let Some(key) = once_only() {
            let earlier = self.store.read(async move |conn| key.earlier(conn).await).await?;
            if let Some(told) = earlier {
                return self.repeated(&told, &user.email, password, address).await;
            }
        }
        let attempt = self.guard.login(user.email.as_str(), address);
        let hash = self.passwords.turn()?.hash_chosen(password, personal(&user)).await?;
        let (session, refresh_token) = self.new_session(user.id);
        let (added, id, key) = (user.clone(), session.id, once_only());
        let adding = self.store.write(async move |conn| {
            once(conn, key, async move |conn| {
                users::add(conn, &added, &hash).await?;
                let changes = Changes::added(&json!({ "role": added.role }));
                audit::record(conn, added.id, Action::AccountRegistered, added.id, changes).await?;
                session::begin(conn, &session).await?;
                if let Some(attempt) = attempt {
                    attempt.known(conn, session.created_at).await?;
                }
                Ok(added)
            })
            .await
        });
        match adding.await {
            Ok(IdempotencyOutcome::Executed(user)) => Ok(self.signed_in(user, id, &refresh_token)),
            Ok(earlier) => self.repeated(&earlier, &user.email, password, address).await,
            Err(store::Error::Taken(Unique::Email)) => Err(AccountError::EmailTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Signs in after a repeated registration. The password is required as in any login: a key grants
    /// nothing.
    async fn repeated(
        &self,
        told: &IdempotencyOutcome<User>,
        email: &Email,
        password: &Password,
        address: IpAddr,
    ) -> Result<IssuedTokens, AccountError> {
        if let IdempotencyOutcome::KeyReused = told {
            return Err(AccountError::KeyReused);
        }
        match self.login(email.as_str(), password.given(), address).await {
            Err(AccountError::WrongPassword) => Err(AccountError::KeyReused),
            signed_in => signed_in,
        }
    }

    /// Returns the caller with this access token. Does not use the database.
    pub fn caller(&self, token: &str) -> Result<Caller, AccountError> {
        let holder = self.tokens.verify(token).ok_or(AccountError::NotSignedIn)?;
        self.access.now(holder).ok_or(AccountError::NotSignedIn)
    }

    /// Returns the caller of a token that may have expired or been revoked, and authorizes nothing.
    pub fn former_caller(&self, token: &str) -> Option<Caller> {
        self.tokens.verify_signature(token)
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
                // Locked before the account itself, so that two admins who deactivate each other wait in one
                // order.
                let may_end = role.is_some_and(|role| role != Role::Admin) || active == Some(false);
                let others =
                    if may_end { users::lock_other_active_admins(conn, id).await? } else { usize::MAX };
                let Some((before, _)) = users::lock(conn, id).await? else {
                    return Err(AccountError::Unknown);
                };
                if !condition.allows(before.stamp()) {
                    return Err(AccountError::Outdated(before.stamp()));
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
                    cancelled = deactivation::cancel_pending(conn, by, id).await?;
                }
                audit::record_access(conn, by, &before, &after).await?;
                Ok((after, cancelled))
            })
            .await?;
        deactivation::count(cancelled);
        self.access.note_change().await;
        Ok(changed)
    }
}

/// Identifies a registration. The password is not part of the fingerprint: what is stored must not help to
/// guess it, and it is verified like any other.
fn registration(user: &User, key: &str) -> IdempotentRequest<User> {
    let (username, email) = (user.username.as_str(), user.email.as_str());
    let asked = format!("{username}\n{email}");
    IdempotentRequest::new(&format!("register {email}"), key, asked.as_bytes(), |user| user.id.to_string())
}

/// Lists words that somebody who knows the account would try as its password.
pub fn personal(user: &User) -> Vec<String> {
    let (email, username) = (user.email.as_str(), user.username.as_str());
    let words = email.split(['@', '.']).chain([email, username, "shakerqueue"]);
    words.map(str::to_owned).collect()
}

pub fn new_user(username: Username, email: Email, role: Role) -> User {
    User { id: UserId::new_v7(), username, email, role, active: true, created_at: now(), version: 1 }
}
