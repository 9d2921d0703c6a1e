//! Accounts: registering, signing in, and who may do what.

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

/// How many accounts a search looks at before a page ends, however few it finds, and how many of them at a time.
const MAX_SEARCHED_USERS: i64 = 20_000;
const SEARCH_BATCH_USERS: i64 = 1_000;

/// A place in the list of accounts.
pub type UserPageKey = (Timestamp, UserId);

/// Who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub id: UserId,
    /// What it may do now.
    pub role: Role,
    /// What it is signed in with.
    pub session: SessionId,
}

/// Why something about accounts was not done.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// No such address, or not its password: which of them is nobody's business.
    #[error("wrong e-mail or password")]
    WrongPassword,
    /// The password is among the first that somebody would try.
    #[error("is too easy to guess")]
    Guessable,
    /// The account is switched off.
    #[error("the account is inactive")]
    Inactive,
    /// The token is missing, forged, expired, or its session has ended.
    #[error("not signed in")]
    NotSignedIn,
    /// The refresh token is not the one that counts, or its session has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// So many attempts have failed that the next one has to wait for so long.
    #[error("too many failed logins")]
    TooManyFailures(TimeDelta),
    /// The address has an account.
    #[error("the address is taken")]
    EmailTaken,
    /// There is no such account.
    #[error("no such account")]
    Unknown,
    /// The last active admin can't be demoted or switched off.
    #[error("the last admin stays")]
    LastAdmin,
    /// It is in this state, and that is not one that the change is for.
    #[error("the account has changed")]
    Outdated(EntityVersion),
    /// Another account was made under the same key.
    #[error("another account was made under this key")]
    KeyReused,
    /// Too many passwords are being checked.
    #[error("too many passwords are being checked")]
    Busy,
    /// There can't be threads for passwords.
    #[error("the threads that hash passwords can't be started: {0}")]
    NoThreads(#[from] io::Error),
    /// The database could not do it.
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

/// Looks after accounts.
pub struct Accounts {
    store: Store,
    passwords: PasswordHasher,
    tokens: Tokens,
    access: Revocations,
    guard: LoginThrottle,
    session_life: TimeDelta,
}

impl Accounts {
    /// Looks after the accounts in this store. Sessions end when they are out of use for `session_life`.
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

    /// Makes a customer's account, once, and signs it in from this address.
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
        // What was done before needs no new hash.
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

    /// Signs in who has registered before under the same key. They must know the password, as for any login: a key opens nothing.
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

    /// Who holds this token. Asks no database.
    pub fn caller(&self, token: &str) -> Result<Caller, AccountError> {
        let holder = self.tokens.verify(token).ok_or(AccountError::NotSignedIn)?;
        self.access.now(holder).ok_or(AccountError::NotSignedIn)
    }

    /// Whose token this is or was. It may have expired or been revoked: nothing may be done for it.
    pub fn former_caller(&self, token: &str) -> Option<Caller> {
        self.tokens.verify_signature(token)
    }

    /// An account.
    pub async fn find(&self, id: UserId) -> Result<User, AccountError> {
        let found = self.store.read(async move |conn| users::by_id(conn, id).await).await?;
        found.map(|(user, _)| user).ok_or(AccountError::Unknown)
    }

    /// A page of accounts, oldest first, behind `after`.
    pub async fn page(
        &self,
        filter: UserFilter,
        after: Option<UserPageKey>,
        limit: i64,
    ) -> Result<Vec<User>, AccountError> {
        Ok(self.store.read(async move |conn| users::page(conn, filter, after, limit).await).await?)
    }

    /// A page of those whose name or address has what somebody looks for; and where the search ended, if it did so before it had found
    /// as many as were asked for and before the list's end.
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

    /// Sets what an account may do. Every process goes by it within seconds. One that is switched off is signed out everywhere,
    /// and its pending orders are cancelled.
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
                // Before the account itself, so that two admins who switch each other off wait in one order.
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

/// What is asked for by registering. The password is no part of it: what is kept must not help to guess it, and it is checked like any
/// other.
fn registration(user: &User, key: &str) -> IdempotentRequest<User> {
    let (username, email) = (user.username.as_str(), user.email.as_str());
    let asked = format!("{username}\n{email}");
    IdempotentRequest::new(&format!("register {email}"), key, asked.as_bytes(), |user| user.id.to_string())
}

/// What somebody who knows the account would try first.
pub fn personal(user: &User) -> Vec<String> {
    let (email, username) = (user.email.as_str(), user.username.as_str());
    let words = email.split(['@', '.']).chain([email, username, "shakerqueue"]);
    words.map(str::to_owned).collect()
}

/// An account as it begins.
pub fn new_user(username: Username, email: Email, role: Role) -> User {
    User { id: UserId::new_v7(), username, email, role, active: true, created_at: now(), version: 1 }
}
