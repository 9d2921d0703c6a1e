//! Accounts: registering, signing in, and who may do what.

mod access;
mod password;
mod token;

pub use access::Access;
pub use password::{Passwords, is_guessable};
pub use token::{Token, Tokens};

use crate::{
    audit,
    domain::{
        account::{Email, Password, Role, User},
        audit::{Action, Changes},
        ids::UserId,
        now,
        text::Username,
    },
    store::{self, Store, Unique, users},
};
use futures_util::FutureExt;
use secrecy::SecretString;
use serde_json::json;

/// Who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub id: UserId,
    /// What it may do now.
    pub role: Role,
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
    /// The token is missing, forged, expired, or its account is switched off.
    #[error("not signed in")]
    NotSignedIn,
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
}

impl Accounts {
    /// Looks after the accounts in this store.
    pub fn new(store: Store, passwords: Passwords, tokens: Tokens, access: Access) -> Self {
        Self { store, passwords, tokens, access }
    }

    /// Makes a customer's account and signs it in.
    pub async fn register(
        &self,
        username: Username,
        email: Email,
        password: &Password,
    ) -> Result<(User, Token), Denied> {
        let user = new_user(username, email, Role::Customer);
        let hash = self.passwords.hash_chosen(password, personal(&user)).await?;
        let added = user.clone();
        let adding = self.store.write(move |conn| {
            async move {
                users::add(conn, &added, &hash).await?;
                let changes = Changes::added(&json!({ "role": added.role }));
                audit::record(conn, added.id, Action::AccountRegistered, added.id, changes).await
            }
            .boxed()
        });
        match adding.await {
            Ok(()) => {
                let token = self.tokens.issue(&user);
                Ok((user, token))
            }
            Err(store::Error::Taken(Unique::Email)) => Err(Denied::EmailTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Signs in. Takes as long for an address without an account.
    pub async fn login(&self, email: &str, password: &SecretString) -> Result<(User, Token), Denied> {
        let known = match Email::try_from(email) {
            Ok(email) => {
                self.store
                    .read(move |conn| async move { users::by_email(conn, &email).await }.boxed())
                    .await?
            }
            Err(_) => None,
        };
        let hash = known.as_ref().map(|(_, hash)| hash.as_str());
        if !self.passwords.verify(password, hash).await? {
            return Err(Denied::WrongPassword);
        }
        match known {
            Some((user, hash)) if user.active => {
                if self.passwords.is_outdated(&hash) {
                    self.renew_hash(user.id, password, hash).await;
                }
                let token = self.tokens.issue(&user);
                Ok((user, token))
            }
            Some(_) => Err(Denied::Inactive),
            None => Err(Denied::WrongPassword),
        }
    }

    /// Hashes a password, which was right, at the cost that hashes have now. Not worth failing a login: there will be others.
    async fn renew_hash(&self, id: UserId, password: &SecretString, outdated: String) {
        let Ok(password) = Password::try_from(password) else { return };
        let renewed = async {
            let hash = self.passwords.hash(&password).await?;
            let replaced = self.store.write(move |conn| {
                async move { users::replace_password_hash(conn, id, &outdated, &hash).await }.boxed()
            });
            Ok::<_, Denied>(replaced.await?)
        };
        if let Err(error) = renewed.await {
            tracing::debug!(%error, "a password keeps its outdated hash for now");
        }
    }

    /// Who holds this token. Asks no database.
    pub fn caller(&self, token: &str) -> Result<Caller, Denied> {
        let (id, role) = self.tokens.verify(token).ok_or(Denied::NotSignedIn)?;
        match self.access.of(id) {
            Some((_, false)) => Err(Denied::NotSignedIn),
            Some((role, true)) => Ok(Caller { id, role }),
            None => Ok(Caller { id, role }),
        }
    }

    /// An account.
    pub async fn find(&self, id: UserId) -> Result<User, Denied> {
        let found = self.store.read(move |conn| users::by_id(conn, id).boxed()).await?;
        found.map(|(user, _)| user).ok_or(Denied::Unknown)
    }

    /// Sets another password, if the old one is right.
    pub async fn change_password(
        &self,
        id: UserId,
        old: &SecretString,
        new: &Password,
    ) -> Result<(), Denied> {
        let (user, hash) =
            self.store.read(move |conn| users::by_id(conn, id).boxed()).await?.ok_or(Denied::Unknown)?;
        if !self.passwords.verify(old, Some(&hash)).await? {
            return Err(Denied::WrongPassword);
        }
        let hash = self.passwords.hash_chosen(new, personal(&user)).await?;
        self.store
            .write(move |conn| {
                async move {
                    users::set_password_hash(conn, id, &hash).await?;
                    audit::record(conn, id, Action::AccountPasswordChanged, id, Changes::UNTOLD).await
                }
                .boxed()
            })
            .await?;
        Ok(())
    }

    /// A page of accounts, oldest first, behind `after`.
    pub async fn page(
        &self,
        after: Option<(crate::domain::Instant, UserId)>,
        limit: i64,
    ) -> Result<Vec<User>, Denied> {
        Ok(self.store.read(move |conn| users::page(conn, after, limit).boxed()).await?)
    }

    /// Sets what an account may do. Every process goes by it within seconds.
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
                    let (Some(before), Some(after)) = (before, after) else {
                        return Ok(Err(Denied::Unknown));
                    };
                    audit::record_access(conn, by, &before, &after).await?;
                    Ok(Ok(after))
                }
                .boxed()
            })
            .await??;
        if let Err(error) = self.access.refresh().await {
            tracing::warn!(%error, "accounts could not be refreshed");
        }
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
