//! Login and change of the password.

use super::{
    AccountError, Accounts, Caller, ClaimedAccount, IssuedTokens, login_throttle::LoginAttempt,
    passwords::Verdict, personal,
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
    pub async fn claimed(&self, email: &str, address: IpAddr) -> Result<ClaimedAccount, AccountError> {
        match self.guard.login(email, address) {
            Some(attempt) => {
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
            None => Ok(ClaimedAccount { name: 0, is_known: false, is_staff: false }),
        }
    }

    /// Signs in from this address. Takes the same time if the account does not exist.
    pub async fn login(
        &self,
        email: &str,
        password: &SecretString,
        address: IpAddr,
    ) -> Result<IssuedTokens, AccountError> {
        let outcome = self.sign_in(email, password, address).await;
        metrics::accounts().logins.of(outcome.label()).inc();
        outcome
    }

    async fn sign_in(
        &self,
        email: &str,
        password: &SecretString,
        address: IpAddr,
    ) -> Result<IssuedTokens, AccountError> {
        // Before the database is asked anything: a full queue rejects the login here.
        let turn = self.passwords.turn()?;
        let attempt = self.guard.login(email, address);
        let email = Email::try_from(email).ok();
        let mut known = self
            .charged(attempt.clone(), async move |conn| match &email {
                Some(email) => users::by_email(conn, email).await,
                None => Ok(None),
            })
            .await?;
        for _ in 0..MAX_ATTEMPTS {
            let hash = known.as_ref().map(|(_, hash)| hash.as_str());
            let verdict = match turn.verify(password, hash).await {
                Err(busy) => return Err(self.not_looked_at(attempt, busy).await),
                Ok(verdict) => verdict,
            };
            let Verdict::Right(renewed) = verdict else { break };
            let Some((user, hash)) = known else { break };
            if !user.active {
                return Err(AccountError::Inactive);
            }
            match self.open_session(user, hash, renewed, attempt.clone()).await? {
                Ok(signed_in) => return Ok(signed_in),
                Err(changed) => known = changed,
            }
        }
        Err(AccountError::WrongPassword)
    }

    /// Charges an attempt and then finds the account, unless the attempt is throttled.
    async fn charged(
        &self,
        attempt: Option<LoginAttempt>,
        find: impl for<'c> Work<&'c mut Conn, Result<Known>, Future: Send> + Clone + Send + 'static,
    ) -> Result<Known, AccountError> {
        let charging = self.store.write(async move |conn| {
            let wait = match attempt {
                Some(attempt) => attempt.charge(conn, now()).await?,
                None => None,
            };
            // Not an error of the transaction, which must commit: what the charge has stored is kept.
            match wait {
                Some(wait) => Ok(Err(AccountError::TooManyFailures(wait))),
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
    ) -> Result<Result<IssuedTokens, Known>, AccountError> {
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
    async fn not_looked_at(&self, attempt: Option<LoginAttempt>, busy: AccountError) -> AccountError {
        let Some(attempt) = attempt else { return busy };
        let taking = self.store.write(async move |conn| attempt.take_back(conn, now()).await);
        if let Err(error) = taking.await {
            tracing::debug!(%error, "an attempt stays counted");
        }
        busy
    }

    /// Replaces the password if the old one is right, and ends the account's other sessions.
    pub async fn change_password(
        &self,
        caller: Caller,
        old: &SecretString,
        new: &Password,
    ) -> Result<(), AccountError> {
        let turn = self.passwords.turn()?;
        let attempt = self.guard.within(caller.session);
        let find = async move |conn: &mut Conn| users::by_id(conn, caller.id).await;
        let mut known = self.charged(attempt.clone(), find).await?;
        for _ in 0..MAX_ATTEMPTS {
            let (user, hash) = known.ok_or(AccountError::Unknown)?;
            match turn.verify(old, Some(&hash)).await {
                Err(busy) => return Err(self.not_looked_at(attempt, busy).await),
                Ok(Verdict::Wrong) => break,
                Ok(Verdict::Right(_)) => {}
            }
            let chosen = match turn.hash_chosen(new, personal(&user)).await {
                Err(busy @ AccountError::Busy) => return Err(self.not_looked_at(attempt, busy).await),
                chosen => chosen?,
            };
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
                if let Some(attempt) = attempt {
                    attempt.succeeded(conn, now()).await?;
                }
                Ok(Ok(()))
            });
            match changed.await? {
                Ok(()) => {
                    self.access.note_change().await;
                    return Ok(());
                }
                Err(found) => known = found,
            }
        }
        Err(AccountError::WrongPassword)
    }
}

impl MetricLabel for Result<IssuedTokens, AccountError> {
    fn label(&self) -> &'static str {
        match self {
            Ok(_) => "succeeded",
            Err(AccountError::Inactive) => "inactive",
            Err(AccountError::TooManyFailures(_)) => "too_many_failures",
            Err(AccountError::Busy | AccountError::NoThreads(_)) => "busy",
            Err(AccountError::Store(_)) => "unavailable",
            Err(_) => "wrong_password",
        }
    }
}
