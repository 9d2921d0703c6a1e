use super::{AccountError, Accounts, IssuedTokens, LoginError, passwords::personal, session};
use crate::{
    domain::{
        account::{Email, Password, Role, User},
        audit::{Action, Changes},
        ids::UserId,
        now,
        text::Username,
    },
    services::{
        audit,
        idempotency::{IdempotencyOutcome, IdempotentRequest, once},
    },
    store::{self, Unique, users},
};
use serde_json::json;
use std::net::IpAddr;

impl Accounts {
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
        let request = || key.map(|key| registration(&user, key));
        // A repeated request needs no new hash.
        if let Some(key) = request()
            && let Some(earlier) = self.store.read(async move |conn| key.earlier(conn).await).await?
        {
            return self.repeated(&earlier, &user.email, password, address).await;
        }
        let attempt = self.throttle.login(user.email.as_str(), address);
        let hash = self.passwords.slot()?.hash_chosen(password, personal(&user)).await?;
        let (session, refresh_token) = self.new_session(user.id);
        let (added, id, key) = (user.clone(), session.id, request());
        let registered = self.store.write(async move |conn| {
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
        match registered.await {
            Ok(IdempotencyOutcome::Executed(user)) => Ok(self.signed_in(user, id, &refresh_token)),
            Ok(earlier) => self.repeated(&earlier, &user.email, password, address).await,
            Err(store::Error::Taken(Unique::Email)) => Err(AccountError::EmailTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Signs in after a repeated registration, with the password as in any login: a key grants nothing.
    async fn repeated(
        &self,
        earlier: &IdempotencyOutcome<User>,
        email: &Email,
        password: &Password,
        address: IpAddr,
    ) -> Result<IssuedTokens, AccountError> {
        if let IdempotencyOutcome::KeyReused = earlier {
            return Err(AccountError::KeyReused);
        }
        match self.login(email.as_str(), password.given(), address).await {
            Err(LoginError::WrongPassword) => Err(AccountError::KeyReused),
            signed_in => Ok(signed_in?),
        }
    }
}

/// Identifies a registration. The password is not part of the fingerprint: what is stored must not help to
/// guess it, and it is verified like any other.
fn registration(user: &User, key: &str) -> IdempotentRequest<User> {
    let (username, email) = (user.username.as_str(), user.email.as_str());
    let content = format!("{username}\n{email}");
    IdempotentRequest::new(&format!("register {email}"), key, content.as_bytes(), |user| user.id.to_string())
}

pub fn new_user(username: Username, email: Email, role: Role) -> User {
    User { id: UserId::new_v7(), username, email, role, active: true, created_at: now(), version: 1 }
}
