//! `RATE_LIMITS`: limits on requests per minute.

use std::{num::NonZeroU32, str::FromStr};

/// Requests that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteClass {
    /// All requests that check a password.
    Login,
    /// `POST /token/refresh`.
    Refresh,
    Registration,
    /// `POST /orders`.
    Ordering,
    /// Requests with `GET`, `HEAD` or `OPTIONS`.
    Reading,
    Writing,
    /// Requests without a valid token, which also count in one of the classes above.
    Anonymous,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetOwner {
    /// One account. Includes staff in classes without a policy for them.
    Account,
    Staff,
    /// One address, without staff. All guests of a bar may share one.
    Address,
}

#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Its name in the setting and in headers.
    pub name: &'static str,
    pub kind: RouteClass,
    pub whose: BudgetOwner,
    /// Also the limit on a burst.
    pub per_minute: NonZeroU32,
}

/// Leaves room for governor's arithmetic.
const MAX_PER_MINUTE: u32 = 10_000_000;

const DEFAULTS: [Policy; 15] = [
    default("anonymous-address", RouteClass::Anonymous, BudgetOwner::Address, 12_000),
    default("login", RouteClass::Login, BudgetOwner::Account, 10),
    default("login-address", RouteClass::Login, BudgetOwner::Address, 120),
    default("refresh", RouteClass::Refresh, BudgetOwner::Account, 20),
    default("refresh-address", RouteClass::Refresh, BudgetOwner::Address, 1200),
    default("registration-address", RouteClass::Registration, BudgetOwner::Address, 60),
    default("ordering", RouteClass::Ordering, BudgetOwner::Account, 60),
    default("ordering-staff", RouteClass::Ordering, BudgetOwner::Staff, 600),
    default("ordering-address", RouteClass::Ordering, BudgetOwner::Address, 1200),
    default("reading", RouteClass::Reading, BudgetOwner::Account, 300),
    default("reading-staff", RouteClass::Reading, BudgetOwner::Staff, 3000),
    default("reading-address", RouteClass::Reading, BudgetOwner::Address, 12_000),
    default("writing", RouteClass::Writing, BudgetOwner::Account, 60),
    default("writing-staff", RouteClass::Writing, BudgetOwner::Staff, 1200),
    default("writing-address", RouteClass::Writing, BudgetOwner::Address, 600),
];

const fn default(name: &'static str, kind: RouteClass, whose: BudgetOwner, per_minute: u32) -> Policy {
    let per_minute = match NonZeroU32::new(per_minute) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    };
    Policy { name, kind, whose, per_minute }
}

/// The policies in force; none if limits are off.
#[derive(Debug, Clone)]
pub struct RateLimits(Vec<Policy>);

impl RateLimits {
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
            policy.ok_or_else(|| format!("{name} must be one of {}", names()))?.per_minute = number;
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
