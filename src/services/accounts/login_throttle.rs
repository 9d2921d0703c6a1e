//! Failed logins slow down those that follow: by account, and by the client's address. Nobody is locked out for good.
//!
//! An attempt counts as failed from before its password is looked at until it has succeeded, so that many at once are as many as
//! one after the other, in all processes together: what is counted is in the database. Nothing depends on whether there is such
//! an account.
//!
//! An account that signed in at an address lately has a budget of its own there, so that whoever guesses at it from elsewhere does
//! not keep its owner waiting; and who is signed in stays so.

use crate::{
    domain::{Timestamp, ids::SessionId, network::client_network},
    store::{
        Conn, Result,
        login_attempts::{self, Attempts},
    },
    util::secrets::mac,
};
use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use std::net::IpAddr;

/// How long an address is known as an account's own after it has signed in there.
const KNOWN_ADDRESS_RETENTION: TimeDelta = TimeDelta::days(30);

/// How many attempts may fail, and what happens then.
struct ThrottlePolicy {
    /// So many cost no time. After that many the next one has to wait for a second, and for twice as long after each further one,
    free: i32,
    /// but for no longer than this, in seconds.
    longest: i64,
    /// One is forgiven for each of these times, in seconds, in which none was added.
    forgiven_each: i64,
}

/// Of an account, at all addresses but those it is known at; and at each of these by itself.
static ACCOUNT: ThrottlePolicy = ThrottlePolicy { free: 5, longest: 60, forgiven_each: 300 };
/// Of an address, which may be that of a whole bar: for accounts that are not known there.
static ADDRESS: ThrottlePolicy = ThrottlePolicy { free: 100, longest: 30, forgiven_each: 30 };

impl ThrottlePolicy {
    /// How long to wait after so many failures, in seconds.
    fn pause(&self, failures: i32) -> i64 {
        let doublings = u32::try_from(failures - self.free).ok();
        doublings.map_or(0, |doublings| 1_i64.checked_shl(doublings).unwrap_or(i64::MAX).min(self.longest))
    }

    /// How long the next attempt has to wait from now on, if it has to.
    fn wait(&self, attempts: &Attempts, now: Timestamp) -> Option<TimeDelta> {
        let pause = TimeDelta::seconds(self.pause(attempts.failures));
        // However the clocks of two processes differ, it is never longer than that.
        let left = (attempts.failed_at.0 + pause - now.0).min(pause);
        (left > TimeDelta::zero()).then_some(left)
    }

    /// With one failure more. Beyond those that make for the longest pause none are counted: it must end some time.
    fn charge(&self, attempts: &mut Attempts, now: Timestamp) {
        let quiet = (now.0 - attempts.failed_at.0).num_seconds().max(0);
        let forgiven = i32::try_from(quiet / self.forgiven_each).unwrap_or(i32::MAX);
        let failures = attempts.failures.saturating_sub(forgiven).max(0);
        attempts.failures = if self.pause(failures) < self.longest { failures + 1 } else { failures };
        attempts.failed_at = now;
    }

    /// Keeps them for as long as they mean anything. Part of a transaction.
    async fn keep(&self, conn: &mut Conn, name: &Name, attempts: &Attempts, now: Timestamp) -> Result<()> {
        let known_until = attempts.succeeded_at.map_or(now, |at| at + KNOWN_ADDRESS_RETENTION);
        let forget_at = (now + self.memory(attempts)).max(known_until);
        login_attempts::keep(conn, name, attempts, forget_at).await
    }

    /// How long the failures mean anything.
    fn memory(&self, attempts: &Attempts) -> TimeDelta {
        TimeDelta::seconds(i64::from(attempts.failures) * self.forgiven_each)
    }
}

/// Names what is counted. Addresses and e-mails are not kept as they are.
pub struct LoginThrottle {
    /// None: nothing is counted.
    key: Option<[u8; 32]>,
}

type Name = [u8; 32];

/// Somebody who says whose password they know, before it is looked at.
#[derive(Debug, Clone, Copy)]
pub struct ClaimedAccount {
    /// Names the account and the address together, whether or not there is such an account.
    pub name: u128,
    /// The account signed in at this address lately.
    pub is_known: bool,
    /// It is an employee's or admin's besides.
    pub is_staff: bool,
}

/// An attempt to show that one knows a password.
#[derive(Debug, Clone)]
pub struct LoginAttempt {
    /// Who tries.
    own: Name,
    /// What else is counted of somebody who is not known: account and address.
    shared: Option<(Name, Name)>,
}

impl LoginThrottle {
    /// Counts under names that only holders of this secret can make, or does not count.
    pub fn new(secret: &SecretString, counts: bool) -> Self {
        let key = || mac(secret.expose_secret().as_bytes(), [b"shakerqueue login attempts".as_slice()]);
        Self { key: counts.then(key) }
    }

    /// Somebody at this address signs in to this account, whether or not there is one.
    pub fn login(&self, email: &str, address: IpAddr) -> Option<LoginAttempt> {
        let key = self.key?;
        let account = mac(&key, [b"account".as_slice(), email.trim().to_ascii_lowercase().as_bytes()]);
        let address = mac(&key, [b"address".as_slice(), &client_network(address).to_be_bytes()]);
        let own = mac(&key, [b"both".as_slice(), &account, &address]);
        Some(LoginAttempt { own, shared: Some((account, address)) })
    }

    /// Somebody who is signed in shows that they know the password.
    pub fn within(&self, session: SessionId) -> Option<LoginAttempt> {
        let own = mac(&self.key?, [b"session".as_slice(), session.0.as_bytes()]);
        Some(LoginAttempt { own, shared: None })
    }
}

impl LoginAttempt {
    /// Whose password somebody says to know. Changes nothing.
    pub async fn claimed(&self, conn: &mut Conn, now: Timestamp) -> Result<ClaimedAccount> {
        let own = login_attempts::find(conn, &self.own).await?;
        Ok(ClaimedAccount {
            name: self.own.first_chunk().copied().map_or(0, u128::from_be_bytes),
            is_known: own.is_some_and(|own| is_known(&own, now)),
            is_staff: false,
        })
    }

    /// Counts it as failed, or says how long it has to wait. Part of a transaction.
    pub async fn charge(&self, conn: &mut Conn, now: Timestamp) -> Result<Option<TimeDelta>> {
        let mut charged = Vec::new();
        for (name, budget) in self.budgets(conn, now).await? {
            let mut attempts = login_attempts::lock_or_begin(conn, name, now).await?;
            if let Some(wait) = budget.wait(&attempts, now) {
                // A clock was set back, or another one is ahead: the pause must not begin anew until this one gets there.
                if attempts.failed_at > now {
                    attempts.failed_at = now;
                    budget.keep(conn, name, &attempts, now).await?;
                }
                return Ok(Some(wait));
            }
            budget.charge(&mut attempts, now);
            charged.push((name, budget, attempts));
        }
        for (name, budget, attempts) in charged {
            budget.keep(conn, name, &attempts, now).await?;
        }
        Ok(None)
    }

    /// The password was not looked at after all: it did not fail. Part of a transaction.
    pub async fn take_back(&self, conn: &mut Conn, now: Timestamp) -> Result<()> {
        for (name, budget) in self.budgets(conn, now).await? {
            if let Some(mut attempts) = login_attempts::lock(conn, name).await? {
                attempts.failures = (attempts.failures - 1).max(0);
                budget.keep(conn, name, &attempts, now).await?;
            }
        }
        Ok(())
    }

    /// What it is counted by.
    async fn budgets(
        &self,
        conn: &mut Conn,
        now: Timestamp,
    ) -> Result<Vec<(&Name, &'static ThrottlePolicy)>> {
        let own = login_attempts::lock(conn, &self.own).await?;
        let own = own.filter(|own| is_known(own, now));
        Ok(match &self.shared {
            // The address first: one that has to wait makes no rows for accounts that it has not tried.
            Some((account, address)) if own.is_none() => vec![(address, &ADDRESS), (account, &ACCOUNT)],
            _ => vec![(&self.own, &ACCOUNT)],
        })
    }

    /// Who tries is known from now on. Part of a transaction.
    pub async fn known(&self, conn: &mut Conn, now: Timestamp) -> Result<()> {
        let known = Attempts { failures: 0, failed_at: now, succeeded_at: Some(now) };
        login_attempts::keep(conn, &self.own, &known, now + KNOWN_ADDRESS_RETENTION).await
    }

    /// It has succeeded after all: what it was counted by is as if it had not been, and who tried is known from now on. Part of a
    /// transaction.
    pub async fn succeeded(&self, conn: &mut Conn, now: Timestamp) -> Result<()> {
        let own = login_attempts::lock(conn, &self.own).await?;
        let Some((account, address)) = &self.shared else {
            return login_attempts::clear(conn, &self.own).await;
        };
        self.known(conn, now).await?;
        // Otherwise these were not charged, and what others did elsewhere stays counted.
        if !own.is_some_and(|own| is_known(&own, now)) {
            // Who knows one password must not get more guesses at others by it.
            let mut attempts = login_attempts::lock_or_begin(conn, address, now).await?;
            attempts.failures = (attempts.failures - 1).max(0);
            login_attempts::keep(conn, address, &attempts, now + ADDRESS.memory(&attempts)).await?;
            login_attempts::clear(conn, account).await?;
        }
        Ok(())
    }
}

fn is_known(own: &Attempts, now: Timestamp) -> bool {
    own.succeeded_at.is_some_and(|at| now < at + KNOWN_ADDRESS_RETENTION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::now;

    fn seconds(seconds: i64) -> TimeDelta {
        TimeDelta::seconds(seconds)
    }

    #[test]
    fn some_failures_are_free_and_each_further_one_doubles_the_pause_up_to_a_bound() {
        let mut now = now();
        let mut attempts = Attempts { failures: 0, failed_at: now, succeeded_at: None };
        let mut pauses = Vec::new();
        for _ in 0..20 {
            ACCOUNT.charge(&mut attempts, now);
            let wait = ACCOUNT.wait(&attempts, now).unwrap_or_default();
            pauses.push(wait.num_seconds());
            now = now + wait;
            assert_eq!(ACCOUNT.wait(&attempts, now), None);
        }
        assert_eq!(pauses[..12], [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(pauses[12..].iter().all(|pause| *pause == 60), "never longer");
    }

    #[test]
    fn failures_are_forgiven_with_time() {
        let start = now();
        let after = |quiet| {
            let mut attempts = Attempts { failures: 11, failed_at: start, succeeded_at: None };
            ACCOUNT.charge(&mut attempts, start + seconds(quiet));
            attempts.failures
        };
        assert_eq!([0, 299, 300, 600, 3300, 1_000_000_000].map(after), [11, 11, 11, 10, 1, 1]);
        // Another process's clock may be behind.
        assert_eq!(after(-100), 11);
        let attempts = Attempts { failures: 6, failed_at: start, succeeded_at: None };
        assert_eq!(ACCOUNT.wait(&attempts, start - seconds(100)), Some(seconds(2)));
    }

    #[test]
    fn names_tell_accounts_and_networks_apart_and_nothing_else() {
        let guard = LoginThrottle::new(&"x".repeat(32).into(), true);
        let shared =
            |email, address: &str| guard.login(email, address.parse().unwrap()).unwrap().shared.unwrap();
        let (ana, here) = shared("ana@bar.example", "192.0.2.1");
        assert_eq!(shared(" Ana@Bar.Example ", "::ffff:192.0.2.1"), (ana, here));
        assert_ne!(shared("ben@bar.example", "192.0.2.1").0, ana);
        assert_ne!(shared("ana@bar.example", "192.0.2.2").1, here);
        let six = |address| shared("ana@bar.example", address).1;
        assert_eq!(six("2001:db8::1"), six("2001:db8::ffff:1"));
        assert_ne!(six("2001:db8::1"), six("2001:db8:0:1::1"));
        let other = LoginThrottle::new(&"y".repeat(32).into(), true);
        assert_ne!(
            other.login("ana@bar.example", "192.0.2.1".parse().unwrap()).unwrap().shared,
            Some((ana, here))
        );
        assert!(LoginThrottle::new(&"x".repeat(32).into(), false).within(SessionId::new_v7()).is_none());
    }
}
