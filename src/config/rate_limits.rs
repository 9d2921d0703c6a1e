//! `RATE_LIMITS`: how many requests are answered a minute.

use std::{num::NonZeroU32, str::FromStr};

/// Requests that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteClass {
    /// What looks at a password.
    Login,
    /// `POST /token/refresh`.
    Refresh,
    /// New accounts.
    Registration,
    /// `POST /orders`.
    Ordering,
    /// Whatever changes nothing.
    Reading,
    /// All else.
    Writing,
    /// Whatever comes without a valid token, of each of the kinds above.
    Anonymous,
}

/// Whose requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetOwner {
    /// One account's; without a policy for staff of its own, also theirs.
    Account,
    /// One employee's or admin's.
    Staff,
    /// Those from one address that are not staff's: all guests of a bar may share one.
    Address,
}

/// How many requests of a kind somebody may make.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// What it is called, here and in headers.
    pub name: &'static str,
    /// Of which requests.
    pub kind: RouteClass,
    /// Whose.
    pub whose: BudgetOwner,
    /// So many in a minute, and at most so many at once.
    pub per_minute: NonZeroU32,
}

/// The most that can be asked for: it leaves governor's arithmetic room.
const MAX_PER_MINUTE: u32 = 10_000_000;

/// What holds unless something else is said.
const DEFAULTS: [Policy; 15] = [
    usual("anonymous-address", RouteClass::Anonymous, BudgetOwner::Address, 12_000),
    usual("login", RouteClass::Login, BudgetOwner::Account, 10),
    usual("login-address", RouteClass::Login, BudgetOwner::Address, 120),
    usual("refresh", RouteClass::Refresh, BudgetOwner::Account, 20),
    usual("refresh-address", RouteClass::Refresh, BudgetOwner::Address, 1200),
    usual("registration-address", RouteClass::Registration, BudgetOwner::Address, 60),
    usual("ordering", RouteClass::Ordering, BudgetOwner::Account, 60),
    usual("ordering-staff", RouteClass::Ordering, BudgetOwner::Staff, 600),
    usual("ordering-address", RouteClass::Ordering, BudgetOwner::Address, 1200),
    usual("reading", RouteClass::Reading, BudgetOwner::Account, 300),
    usual("reading-staff", RouteClass::Reading, BudgetOwner::Staff, 3000),
    usual("reading-address", RouteClass::Reading, BudgetOwner::Address, 12_000),
    usual("writing", RouteClass::Writing, BudgetOwner::Account, 60),
    usual("writing-staff", RouteClass::Writing, BudgetOwner::Staff, 1200),
    usual("writing-address", RouteClass::Writing, BudgetOwner::Address, 600),
];

const fn usual(name: &'static str, kind: RouteClass, whose: BudgetOwner, per_minute: u32) -> Policy {
    let per_minute = match NonZeroU32::new(per_minute) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    };
    Policy { name, kind, whose, per_minute }
}

/// The policies that hold; none when limits are off.
#[derive(Debug, Clone)]
pub struct RateLimits(Vec<Policy>);

impl RateLimits {
    /// All that hold.
    pub fn policies(&self) -> &[Policy] {
        &self.0
    }
}

impl FromStr for RateLimits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "off" => return Ok(Self(Vec::new())),
            "on" | "" => return Ok(Self(DEFAULTS.to_vec())),
            _ => {}
        }
        let mut policies = DEFAULTS;
        for change in text.split(',').map(str::trim).filter(|change| !change.is_empty()) {
            let (name, number) =
                change.split_once('=').ok_or_else(|| format!("{change}: must be on, off, or NAME=N,…"))?;
            let number = number.parse().ok().filter(|number| (1..=MAX_PER_MINUTE).contains(number));
            let number = number
                .and_then(NonZeroU32::new)
                .ok_or_else(|| format!("{name} must be 1 to {MAX_PER_MINUTE}"))?;
            let policy = policies.iter_mut().find(|policy| policy.name == name);
            policy.ok_or_else(|| format!("there is no {name}; there are {}", names()))?.per_minute = number;
        }
        Ok(Self(policies.to_vec()))
    }
}

fn names() -> String {
    DEFAULTS.map(|policy| policy.name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, name: &str) -> Option<u32> {
        let limits = RateLimits::from_str(text).ok()?;
        let policy = limits.policies().iter().find(|policy| policy.name == name)?;
        Some(policy.per_minute.get())
    }

    #[test]
    fn only_what_is_named_changes() {
        assert_eq!(of("on", "ordering"), Some(60));
        assert_eq!(of("ordering=7, reading-address=10000000", "ordering"), Some(7));
        assert_eq!(of("ordering=7, reading-address=10000000", "reading-address"), Some(10_000_000));
        assert_eq!(of("ordering=7", "ordering-staff"), Some(600));
        assert_eq!(of("anonymous-address=7", "anonymous-address"), Some(7));
        assert_eq!(of("off", "ordering"), None);
        assert_eq!(
            (of(" off ", "ordering"), of(" on ", "ordering"), of("", "ordering")),
            (None, Some(60), Some(60))
        );
        assert_eq!(of("ordering=7,", "ordering"), Some(7));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["maybe", "ordering", "ordering=0", "ordering=10000001", "ordering=x", "beer=1", "on,off"]
        {
            assert!(RateLimits::from_str(text).is_err(), "{text}");
        }
        let sentence = RateLimits::from_str("beer=1").err().unwrap_or_default();
        assert!(sentence.contains("beer") && sentence.contains("ordering-staff"), "{sentence}");
    }
}
