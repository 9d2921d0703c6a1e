//! Throttles logins after failures, by account and by client address. Nobody is locked out for good.
//!
//! An attempt counts as failed from before its password is verified until it has succeeded, so concurrent
//! attempts count like consecutive ones. The counts are in the database, shared by all processes, and do not
//! depend on whether the account exists.
//!
//! An account that signed in from an address lately has its own count there, so that guesses from elsewhere
//! do not throttle its owner; sessions are not affected.

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

/// Time for which an address is known for an account after a login there.
const KNOWN_ADDRESS_RETENTION: TimeDelta = TimeDelta::days(30);

struct ThrottlePolicy {
    /// Failures before throttling starts; after that the delay doubles from 1 s.
    free: i32,
    /// Bound on the delay, in seconds.
    longest: i64,
    /// Time without failures after which one is forgiven, in seconds.
    forgiven_each: i64,
}

/// For an account at all unknown addresses together, and at each known address.
static ACCOUNT: ThrottlePolicy = ThrottlePolicy { free: 5, longest: 60, forgiven_each: 300 };
/// For an address, which may be shared by a whole bar; counts accounts that are not known there.
static ADDRESS: ThrottlePolicy = ThrottlePolicy { free: 100, longest: 30, forgiven_each: 30 };

impl ThrottlePolicy {
    /// Returns the delay after this number of failures, in seconds.
    fn pause(&self, failures: i32) -> i64 {
        let doublings = u32::try_from(failures - self.free).ok();
        doublings.map_or(0, |doublings| 1_i64.checked_shl(doublings).unwrap_or(i64::MAX).min(self.longest))
    }

    /// Returns the remaining delay of the next attempt.
    fn wait(&self, attempts: &Attempts, now: Timestamp) -> Option<TimeDelta> {
        let pause = TimeDelta::seconds(self.pause(attempts.failures));
        // Bounded, because the clocks of two processes may differ.
        let left = (attempts.failed_at.0 + pause - now.0).min(pause);
        (left > TimeDelta::zero()).then_some(left)
    }

    /// Adds a failure. Failures beyond the longest delay are not counted, so that throttling ends.
    fn charge(&self, attempts: &mut Attempts, now: Timestamp) {
        let quiet = (now.0 - attempts.failed_at.0).num_seconds().max(0);
        let forgiven = i32::try_from(quiet / self.forgiven_each).unwrap_or(i32::MAX);
        let failures = attempts.failures.saturating_sub(forgiven).max(0);
        attempts.failures = if self.pause(failures) < self.longest { failures + 1 } else { failures };
        attempts.failed_at = now;
    }

    /// Stores the counts until they expire. Part of a transaction.
    async fn keep(&self, conn: &mut Conn, name: &Name, attempts: &Attempts, now: Timestamp) -> Result<()> {
        let known_until = attempts.succeeded_at.map_or(now, |at| at + KNOWN_ADDRESS_RETENTION);
        let forget_at = (now + self.memory(attempts)).max(known_until);
        login_attempts::keep(conn, name, attempts, forget_at).await
    }

    /// Returns the time after which all failures are forgiven.
    fn memory(&self, attempts: &Attempts) -> TimeDelta {
        TimeDelta::seconds(i64::from(attempts.failures) * self.forgiven_each)
    }
}

/// Derives the names under which attempts are counted. Addresses and e-mails are stored as MACs only.
pub struct LoginThrottle {
    /// `None` if throttling is off.
    key: Option<[u8; 32]>,
}

type Name = [u8; 32];

/// The account that a client claims to be, before its password is verified.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClaimedAccount {
    /// Identifies the account and address together, even if the account does not exist.
    pub name: u128,
    /// The account signed in from this address lately.
    pub is_known: bool,
    /// The account is known here and belongs to staff.
    pub is_staff: bool,
}

/// An attempt to prove knowledge of a password.
#[derive(Debug, Clone)]
pub struct LoginAttempt {
    /// Account and address, or the session.
    own: Name,
    /// Account and address, which are counted separately while the account is not known at the address.
    shared: Option<(Name, Name)>,
}

impl LoginThrottle {
    /// Takes the secret that names are derived from.
    pub fn new(secret: &SecretString, counts: bool) -> Self {
        let key = || mac(secret.expose_secret().as_bytes(), [b"shakerqueue login attempts".as_slice()]);
        Self { key: counts.then(key) }
    }

    /// Names a login from this address, whether or not the account exists.
    pub fn login(&self, email: &str, address: IpAddr) -> Option<LoginAttempt> {
        let key = self.key?;
        let account = mac(&key, [b"account".as_slice(), email.trim().to_ascii_lowercase().as_bytes()]);
        let address = mac(&key, [b"address".as_slice(), &client_network(address).to_be_bytes()]);
        let own = mac(&key, [b"both".as_slice(), &account, &address]);
        Some(LoginAttempt { own, shared: Some((account, address)) })
    }

    pub fn within(&self, session: SessionId) -> Option<LoginAttempt> {
        let own = mac(&self.key?, [b"session".as_slice(), session.0.as_bytes()]);
        Some(LoginAttempt { own, shared: None })
    }
}

impl LoginAttempt {
    /// Loads the claimed account. Changes nothing.
    pub async fn claimed(&self, conn: &mut Conn, now: Timestamp) -> Result<ClaimedAccount> {
        let own = login_attempts::find(conn, &self.own).await?;
        Ok(ClaimedAccount {
            name: self.own.first_chunk().copied().map_or(0, u128::from_be_bytes),
            is_known: own.is_some_and(|own| is_known(&own, now)),
            is_staff: false,
        })
    }

    /// Counts the attempt as failed, or returns the delay it has to wait. Part of a transaction.
    pub async fn charge(&self, conn: &mut Conn, now: Timestamp) -> Result<Option<TimeDelta>> {
        let mut charged = Vec::new();
        for (name, policy) in self.policies(conn, now).await? {
            let mut attempts = login_attempts::lock_or_begin(conn, name, now).await?;
            if let Some(wait) = policy.wait(&attempts, now) {
                // A clock was set back, or another is ahead: the delay must not restart until this clock
                // catches up.
                if attempts.failed_at > now {
                    attempts.failed_at = now;
                    policy.keep(conn, name, &attempts, now).await?;
                }
                return Ok(Some(wait));
            }
            policy.charge(&mut attempts, now);
            charged.push((name, policy, attempts));
        }
        for (name, policy, attempts) in charged {
            policy.keep(conn, name, &attempts, now).await?;
        }
        Ok(None)
    }

    /// Refunds an attempt whose password was not verified. Part of a transaction.
    pub async fn refund(&self, conn: &mut Conn, now: Timestamp) -> Result<()> {
        for (name, policy) in self.policies(conn, now).await? {
            if let Some(mut attempts) = login_attempts::lock(conn, name).await? {
                attempts.failures = (attempts.failures - 1).max(0);
                policy.keep(conn, name, &attempts, now).await?;
            }
        }
        Ok(())
    }

    /// Returns the policies that apply, with the names that they count under.
    async fn policies(
        &self,
        conn: &mut Conn,
        now: Timestamp,
    ) -> Result<Vec<(&Name, &'static ThrottlePolicy)>> {
        let own = login_attempts::lock(conn, &self.own).await?;
        let own = own.filter(|own| is_known(own, now));
        Ok(match &self.shared {
            // The address first, so that a throttled address creates no rows for accounts.
            Some((account, address)) if own.is_none() => vec![(address, &ADDRESS), (account, &ACCOUNT)],
            _ => vec![(&self.own, &ACCOUNT)],
        })
    }

    /// Marks the account as known at the address. Part of a transaction.
    pub async fn known(&self, conn: &mut Conn, now: Timestamp) -> Result<()> {
        let known = Attempts { failures: 0, failed_at: now, succeeded_at: Some(now) };
        login_attempts::keep(conn, &self.own, &known, now + KNOWN_ADDRESS_RETENTION).await
    }

    /// Refunds a successful attempt and marks the account as known at the address. Part of a transaction.
    pub async fn succeeded(&self, conn: &mut Conn, now: Timestamp) -> Result<()> {
        let own = login_attempts::lock(conn, &self.own).await?;
        let Some((account, address)) = &self.shared else {
            return login_attempts::clear(conn, &self.own).await;
        };
        self.known(conn, now).await?;
        // Otherwise these were not charged, and failures elsewhere stay counted.
        if !own.is_some_and(|own| is_known(&own, now)) {
            // Refunds one failure only: knowing one password must not give more guesses at others.
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
        // The clock of another process may be behind.
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
