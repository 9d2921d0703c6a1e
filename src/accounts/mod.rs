//! Accounts: registering, signing in, and who may do what.

mod access;
mod guard;
mod line;
mod login;
mod password;
mod refresh;
mod session;
mod token;

pub use access::Access;
pub use guard::Guard;
pub use password::{Passwords, Turn, Verdict, is_guessable};
pub use refresh::RefreshToken;
pub use session::{SignedIn, keep_tidy};
pub use token::{Token, Tokens};

use crate::{
    audit,
    domain::{
        account::{Email, Password, Role, User},
        audit::{Action, Changes},
        ids::{SessionId, UserId},
        now,
        text::Username,
    },
    store::{self, Store, Unique, sessions, users},
};
use chrono::TimeDelta;
use futures_util::FutureExt;
use serde_json::json;
use std::{io, net::IpAddr};

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
pub enum Denied {
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

/// Looks after accounts.
pub struct Accounts {
    store: Store,
    passwords: Passwords,
    tokens: Tokens,
    access: Access,
    guard: Guard,
    session_life: TimeDelta,
}

impl Accounts {
    /// Looks after the accounts in this store. Sessions end when they are out of use for `session_life`.
    pub fn new(
        store: Store,
        passwords: Passwords,
        tokens: Tokens,
        access: Access,
        guard: Guard,
        session_life: TimeDelta,
    ) -> Self {
        Self { store, passwords, tokens, access, guard, session_life }
    }

    /// Makes a customer's account and signs it in from this address.
    pub async fn register(
        &self,
        username: Username,
        email: Email,
        password: &Password,
        address: IpAddr,
    ) -> Result<SignedIn, Denied> {
        let attempt = self.guard.login(email.as_str(), address);
        let user = new_user(username, email, Role::Customer);
        let hash = self.passwords.turn()?.hash_chosen(password, personal(&user)).await?;
        let (session, refresh_token) = self.new_session(user.id);
        let (added, id) = (user.clone(), session.id);
        let adding = self.store.write(move |conn| {
            async move {
                users::add(conn, &added, &hash).await?;
                let changes = Changes::added(&json!({ "role": added.role }));
                audit::record(conn, added.id, Action::AccountRegistered, added.id, changes).await?;
                session::begin(conn, &session).await?;
                match attempt {
                    Some(attempt) => attempt.known(conn, session.created_at).await,
                    None => Ok(()),
                }
            }
            .boxed()
        });
        match adding.await {
            Ok(()) => Ok(self.signed_in(user, id, &refresh_token)),
            Err(store::Error::Taken(Unique::Email)) => Err(Denied::EmailTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Who holds this token. Asks no database.
    pub fn caller(&self, token: &str) -> Result<Caller, Denied> {
        let holder = self.tokens.verify(token).ok_or(Denied::NotSignedIn)?;
        self.access.now(holder).ok_or(Denied::NotSignedIn)
    }

    /// An account.
    pub async fn find(&self, id: UserId) -> Result<User, Denied> {
        let found = self.store.read(move |conn| users::by_id(conn, id).boxed()).await?;
        found.map(|(user, _)| user).ok_or(Denied::Unknown)
    }

    /// A page of accounts, oldest first, behind `after`.
    pub async fn page(
        &self,
        after: Option<(crate::domain::Instant, UserId)>,
        limit: i64,
    ) -> Result<Vec<User>, Denied> {
        Ok(self.store.read(move |conn| users::page(conn, after, limit).boxed()).await?)
    }

    /// Sets what an account may do. Every process goes by it within seconds. One that is switched off is signed out everywhere.
    pub async fn set_access(
        &self,
        by: UserId,
        id: UserId,
        role: Option<Role>,
        active: Option<bool>,
    ) -> Result<User, Denied> {
        let changed = self
            .store
            .write(move |conn| {
                async move {
                    let Some((user, _)) = users::by_id(conn, id).await? else {
                        return Ok(Err(Denied::Unknown));
                    };
                    let stays = role.unwrap_or(user.role) == Role::Admin && active.unwrap_or(user.active);
                    let is_one = user.role == Role::Admin && user.active;
                    if is_one && !stays && users::lock_other_active_admins(conn, id).await? == 0 {
                        return Ok(Err(Denied::LastAdmin));
                    }
                    let before = users::lock(conn, id).await?;
                    let after = users::set_access(conn, id, role, active, now()).await?;
                    let (Some((before, _)), Some(after)) = (before, after) else {
                        return Ok(Err(Denied::Unknown));
                    };
                    if active == Some(false) {
                        sessions::end_all(conn, id, None, now()).await?;
                    }
                    audit::record_access(conn, by, &before, &after).await?;
                    Ok(Ok(after))
                }
                .boxed()
            })
            .await??;
        self.access.note_change().await;
        Ok(changed)
    }
}

/// What somebody who knows the account would try first.
pub fn personal(user: &User) -> Vec<String> {
    let (email, username) = (user.email.as_str(), user.username.as_str());
    let words = email.split(['@', '.']).chain([email, username, "shakerqueue"]);
    words.map(str::to_owned).collect()
}

/// An account as it begins.
pub fn new_user(username: Username, email: Email, role: Role) -> User {
    User { id: UserId::fresh(), username, email, role, active: true, created_at: now() }
}
