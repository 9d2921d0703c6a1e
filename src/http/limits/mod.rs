//! How many requests are answered: by account for who is signed in, and by address. In this process; others count for
//! themselves.

mod budget;

use super::{address::client_address, caller, problem::Problem};
use crate::config::{Kind, RateLimits, Whose};
use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
};
use budget::{Budget, WINDOW};
use std::{
    fmt::Write,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The network of an IPv6 address, which is one customer's.
const NETWORK: Ipv6Addr = Ipv6Addr::new(0xffff, 0xffff, 0xffff, 0xffff, 0, 0, 0, 0);

/// What those who watch over the process ask for is not counted.
const WATCHED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Every budget there is.
pub struct Limits(Vec<Budget>);

/// What became of a request under its budgets.
pub struct Allowance {
    policies: HeaderValue,
    left: HeaderValue,
    refused: Option<Refused>,
}

/// Why there is no answer, and for how long.
struct Refused {
    name: &'static str,
    per_minute: u32,
    wait: Duration,
}

impl Limits {
    /// Fresh budgets under these policies.
    pub fn new(limits: &RateLimits) -> Self {
        Self(limits.policies().iter().copied().map(Budget::new).collect())
    }

    /// Takes one request from the budgets that it is under. None if it is under none.
    pub fn admit(&self, request: &HttpRequest) -> Option<Allowance> {
        if self.0.is_empty() || WATCHED.contains(&request.path()) {
            return None;
        }
        let kind = kind(request.method(), request.path());
        // Who is making an account has none that would count.
        let caller = if kind == Kind::Registration { None } else { caller::known(request) };
        let whose = caller.map(|caller| if caller.role.is_staff() { Whose::Staff } else { Whose::Account });
        let own = caller.and_then(|caller| {
            let budget = self.of(kind, whose?).or_else(|| self.of(kind, Whose::Account))?;
            Some((budget, caller.id.0.as_u128()))
        });
        // Guests may share the address of the bar with its staff: they can't keep them from work.
        let shared = self.of(kind, Whose::Address).filter(|_| whose != Some(Whose::Staff) || own.is_none());
        let shared = shared.map(|budget| (budget, key(client_address(request))));
        // The own budget first: who has used it up takes nothing from those who share the address.
        Allowance::of(own.into_iter().chain(shared))
    }

    fn of(&self, kind: Kind, whose: Whose) -> Option<&Budget> {
        self.0.iter().find(|budget| budget.policy().kind == kind && budget.policy().whose == whose)
    }
}

/// Under which budgets a request is. What there is no route for counts as well.
fn kind(method: &Method, path: &str) -> Kind {
    match (method, path) {
        (&Method::GET | &Method::HEAD | &Method::OPTIONS, _) => Kind::Reading,
        (&Method::POST, "/orders") => Kind::Ordering,
        (&Method::POST, "/register") => Kind::Registration,
        (&Method::POST, "/login" | "/token/refresh") | (&Method::PUT, "/me/password") => Kind::Login,
        _ => Kind::Writing,
    }
}

/// Whom an address stands for. IPv4 and IPv6 can't be mixed up: what IPv4 is mapped to is in no network of IPv6.
fn key(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() & NETWORK.to_bits(),
    }
}

impl Allowance {
    /// Takes from one budget after the other until one has none.
    fn of<'a>(budgets: impl Iterator<Item = (&'a Budget, u128)>) -> Option<Self> {
        // Long enough for two of each.
        let (mut policies, mut left) = (String::with_capacity(80), String::with_capacity(80));
        let mut refused = None;
        for (budget, whose) in budgets {
            let (name, per_minute) = (budget.policy().name, budget.policy().per_minute.get());
            let comma = if policies.is_empty() { "" } else { ", " };
            let (r, t) = match budget.take(whose) {
                Ok(left) => (left, budget.step()),
                Err(wait) => {
                    refused = Some(Refused { name, per_minute, wait });
                    (0, seconds(wait).into())
                }
            };
            // A string takes whatever is written.
            let _ = write!(policies, "{comma}\"{name}\";q={per_minute};w={WINDOW}");
            let _ = write!(left, "{comma}\"{name}\";r={r};t={t}");
            if refused.is_some() {
                break;
            }
        }
        if policies.is_empty() {
            return None;
        }
        let [policies, left] = [policies, left].map(|text| HeaderValue::from_maybe_shared(text.into_bytes()));
        Some(Self { policies: policies.ok()?, left: left.ok()?, refused })
    }

    /// The answer to a request that is too many.
    pub fn refusal(&self) -> Option<Problem> {
        let Refused { name, per_minute, wait } = self.refused.as_ref()?;
        let detail = format!("{name}: more than {per_minute} requests a minute.");
        Some(Problem::too_many(detail, seconds(*wait)))
    }

    /// Tells the client.
    pub fn tell(self, headers: &mut HeaderMap) {
        headers.insert(RATE_LIMIT_POLICY, self.policies);
        headers.insert(RATE_LIMIT, self.left);
    }
}

/// Whole seconds, and never too few.
fn seconds(wait: Duration) -> u16 {
    u16::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u16::MAX).max(1)
}
