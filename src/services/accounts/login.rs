//! Login and change of the password.

use super::{
    AccountError, Accounts, Caller, ClaimedAccount, IssuedTokens, LoginError, login_throttle::LoginAttempt,
    note_access, passwords::Verdict, personal,
};
use crate::{
    domain::{
        account::{Email, Password, User},
        audit::{Action, Changes},
        now,
    },
    services::audit,
    store::{Conn, Result, Work, sessions, users},
    telemetry::metrics::{self, MetricLabel},
};
use secrecy::SecretString;
use std::net::IpAddr;

/// Attempts at a password whose hash is replaced while it is verified.
const MAX_ATTEMPTS: usize = 3;

/// An account and its password hash, if it exists.
type Known = Option<(User, String)>;

impl Accounts {
    /// Finds out about the account that a client claims to be. Takes the same time if it does not exist.
    pub async fn claimed(&self, email: &str, address: IpAddr) -> Result<ClaimedAccount, LoginError> {
        let Some(attempt) = self.throttle.login(email, address) else { return Ok(ClaimedAccount::default()) };
        let email = Email::try_from(email).ok();
        let asked = self.store.read(async move |conn| {
            let mut claimed = attempt.claimed(conn, now()).await?;
            if let Some(email) = email {
                let account = users::by_email(conn, &email).await?;
                let is_staff = account.is_some_and(|(user, _)| user.role.is_staff());
                claimed.is_staff = claimed.is_known && is_staff;
            }
            Ok(claimed)
        });
        Ok(asked.await?)
    }

    /// Signs in from this address. Takes the same time if the account does not exist.
    pub async fn login(
        &self,
        email: &str,
        password: &SecretString,
        address: IpAddr,
    ) -> Result<IssuedTokens, LoginError> {
        let outcome = self.sign_in(email, password, address).await;
        let label = outcome.as_ref().err().map_or("succeeded", MetricLabel::label);
        metrics::accounts().logins.of(label).inc();
        outcome
    }

    async fn sign_in(
        &self,
        email: &str,
        password: &SecretString,
        address: IpAddr,
    ) -> Result<IssuedTokens, LoginError> {
        // Before the database is asked anything: a full queue rejects the login here.
        let slot = self.passwords.slot()?;
        let attempt = self.throttle.login(email, address);
        let email = Email::try_from(email).ok();
        let mut known = self
            .charged(attempt.clone(), async move |conn| match &email {
                Some(email) => users::by_email(conn, email).await,
                None => Ok(None),
            })
            .await?;
        for _ in 0..MAX_ATTEMPTS {
            let hash = known.as_ref().map(|(_, hash)| hash.as_str());
            let renewed = match slot.verify(password, hash).await {
                Ok(Verdict::Right(renewed)) => renewed,
                Ok(Verdict::Wrong) => break,
                Err(busy) => {
                    self.refund(attempt).await;
                    return Err(busy.into());
                }
            };
            let Some((user, hash)) = known else { break };
            if !user.active {
                return Err(LoginError::Inactive);
            }
            match self.open_session(user, hash, renewed, attempt.clone()).await? {
                Ok(signed_in) => return Ok(signed_in),
                Err(changed) => known = changed,
            }
        }
        Err(LoginError::WrongPassword)
    }

    /// Charges an attempt and then finds the account, unless the attempt is throttled.
    async fn charged(
        &self,
        attempt: Option<LoginAttempt>,
        find: impl for<'c> Work<&'c mut Conn, Result<Known>, Future: Send> + Clone + Send + 'static,
    ) -> Result<Known, LoginError> {
        let charging = self.store.write(async move |conn| {
            let wait = match attempt {
                Some(attempt) => attempt.charge(conn, now()).await?,
                None => None,
            };
            // Not an error of the transaction, which must commit: what the charge has stored is kept.
            match wait {
                Some(wait) => Ok(Err(LoginError::TooManyFailures(wait))),
                None => find(conn).await.map(Ok),
            }
        });
        charging.await?
    }

    /// Opens a session, or returns the account as it is now if it changed after its password was verified.
    async fn open_session(
        &self,
        user: User,
        hash: String,
        renewed: Option<String>,
        attempt: Option<LoginAttempt>,
    ) -> Result<Result<IssuedTokens, Known>, LoginError> {
        let (session, refresh_token) = self.new_session(user.id);
        let id = session.id;
        let opened = self.store.write(async move |conn| {
            let found = users::lock(conn, user.id).await?;
            let Some((user, _)) = found.clone().filter(|(user, now)| user.active && *now == hash) else {
                return Ok(Err(found));
            };
            if let Some(renewed) = renewed {
                users::set_password_hash(conn, user.id, &renewed).await?;
            }
            super::session::begin(conn, &session).await?;
            if let Some(attempt) = attempt {
                attempt.succeeded(conn, session.created_at).await?;
            }
            Ok(Ok(user))
        });
        Ok(opened.await?.map(|user| self.signed_in(user, id, &refresh_token)))
    }

    /// Refunds an attempt whose password was not verified for lack of capacity.
    async fn refund(&self, attempt: Option<LoginAttempt>) {
        let Some(attempt) = attempt else { return };
        let refunded = self.store.write(async move |conn| attempt.refund(conn, now()).await);
        if let Err(error) = refunded.await {
            tracing::debug!(%error, "failed to refund an attempt");
        }
    }

    /// Replaces the password if the old one is right, and ends the account's other sessions.
    pub async fn change_password(
        &self,
        caller: Caller,
        old: &SecretString,
        new: &Password,
    ) -> Result<(), AccountError> {
        let slot = self.passwords.slot()?;
        let attempt = self.throttle.within(caller.session);
        let find = async move |conn: &mut Conn| users::by_id(conn, caller.id).await;
        let mut known = self.charged(attempt.clone(), find).await?;
        for _ in 0..MAX_ATTEMPTS {
            let (user, hash) = known.ok_or(AccountError::Unknown)?;
            // A new password that is easy to guess is rejected only if the old one is right.
            let chosen = match slot.verify(old, Some(&hash)).await {
                Ok(Verdict::Right(_)) => slot.hash_chosen(new, personal(&user)).await,
                Ok(Verdict::Wrong) => break,
                Err(busy) => Err(busy.into()),
            };
            if let Err(AccountError::Login(LoginError::Hashing(_))) = chosen {
                self.refund(attempt.clone()).await;
            }
            let chosen = chosen?;
            let attempt = attempt.clone();
            let changed = self.store.write(async move |conn| {
                let found = users::lock(conn, caller.id).await?;
                if found.as_ref().is_none_or(|(_, now)| *now != hash) {
                    return Ok(Err(found));
                }
                users::set_password_hash(conn, caller.id, &chosen).await?;
                audit::record(conn, caller.id, Action::AccountPasswordChanged, caller.id, Changes::UNTOLD)
                    .await?;
                sessions::end_all(conn, caller.id, Some(caller.session), now()).await?;
                note_access(conn, caller.id).await?;
                if let Some(attempt) = attempt {
                    attempt.succeeded(conn, now()).await?;
                }
                Ok(Ok(()))
            });
            match changed.await? {
                Ok(()) => {
                    self.revocations.note_change().await;
                    return Ok(());
                }
                Err(found) => known = found,
            }
        }
        Err(LoginError::WrongPassword.into())
    }
}
