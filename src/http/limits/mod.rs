//! How many requests are answered: by account for who is signed in, and by address. In this process; others count for
//! themselves.

mod budget;

use super::{address::client_address, caller, problem::Problem};
use crate::config::{Kind, Policy, RateLimits, Whose};
use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    web::Bytes,
};
use budget::{Budget, WINDOW};
use std::{
    fmt::Write,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The network of an IPv6 address, which is one customer's.
const NETWORK: Ipv6Addr = Ipv6Addr::new(0xffff, 0xffff, 0xffff, 0xffff, 0, 0, 0, 0);

/// What those who watch over the process ask for is not counted.
pub const WATCHED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// What is counted, by kind of request and by who asks.
pub struct Limits(Vec<((Kind, Option<Whose>), Under)>);

/// The budgets that a request is under.
struct Under {
    own: Option<Arc<Budget>>,
    shared: Option<Arc<Budget>>,
    /// Both, as the client is told.
    policies: HeaderValue,
}

/// What became of a request under its budgets.
pub struct Allowance {
    policies: HeaderValue,
    left: HeaderValue,
    refused: Option<Refused>,
}

/// Why there is no answer, and for how long.
struct Refused {
    policy: Policy,
    wait: Duration,
}

impl Limits {
    /// Fresh budgets under these policies.
    pub fn new(limits: &RateLimits) -> Self {
        let budgets: Vec<_> = limits.policies().iter().map(|policy| Arc::new(Budget::new(*policy))).collect();
        let of = |kind: Kind, whose: Whose| {
            let budget =
                budgets.iter().find(|budget| (budget.policy().kind, budget.policy().whose) == (kind, whose));
            budget.cloned()
        };
        let kinds =
            [Kind::Login, Kind::Refresh, Kind::Registration, Kind::Ordering, Kind::Reading, Kind::Writing];
        let all = kinds.into_iter().flat_map(|kind| {
            [None, Some(Whose::Account), Some(Whose::Staff)].map(|whose| {
                let own = whose.and_then(|whose| of(kind, whose).or_else(|| of(kind, Whose::Account)));
                // Guests may share the address of the bar with its staff: they can't keep them from work.
                let apart = whose == Some(Whose::Staff) && own.is_some();
                let shared = of(kind, Whose::Address).filter(|_| !apart);
                ((kind, whose), own, shared)
            })
        });
        Self(all.filter_map(|(who, own, shared)| Some((who, Under::new(own, shared)?))).collect())
    }

    /// Takes one request from the budgets that it is under. None if it is under none.
    pub fn admit(&self, request: &HttpRequest) -> Option<Allowance> {
        // As routes are found by it: not as the client wrote it, which may be in many ways.
        let path = request.match_info().as_str();
        if self.0.is_empty() || WATCHED.contains(&path) {
            return None;
        }
        let kind = kind(request.method(), path);
        // Who makes an account has none that would count.
        let caller = if kind == Kind::Registration { None } else { caller::known(request) };
        let whose = caller.map(|caller| if caller.role.is_staff() { Whose::Staff } else { Whose::Account });
        let (_, Under { own, shared, policies }) = self.0.iter().find(|(who, _)| *who == (kind, whose))?;
        let own = own.iter().zip(caller).map(|(budget, caller)| (budget, caller.id.0.as_u128()));
        let shared = shared.iter().map(|budget| (budget, key(client_address(request))));
        // The own budget first: who has used it up takes nothing from those who share the address.
        Allowance::of(own.chain(shared), policies.clone())
    }
}

impl Under {
    fn new(own: Option<Arc<Budget>>, shared: Option<Arc<Budget>>) -> Option<Self> {
        let policies: Vec<_> = own
            .iter()
            .chain(&shared)
            .map(|budget| format!("\"{}\";q={};w={WINDOW}", budget.policy().name, budget.policy().per_minute))
            .collect();
        let header = HeaderValue::try_from(policies.join(", ")).ok().filter(|header| !header.is_empty());
        header.map(|policies| Self { own, shared, policies })
    }
}

/// Under which budgets a request is. What there is no route for counts as well.
fn kind(method: &Method, path: &str) -> Kind {
    match (method, path) {
        (&Method::GET | &Method::HEAD | &Method::OPTIONS, _) => Kind::Reading,
        (&Method::POST, "/orders") => Kind::Ordering,
        (&Method::POST, "/register") => Kind::Registration,
        (&Method::POST, "/login") | (&Method::PUT, "/me/password") => Kind::Login,
        (&Method::POST, "/token/refresh") => Kind::Refresh,
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
    fn of<'a>(budgets: impl Iterator<Item = (&'a Arc<Budget>, u128)>, policies: HeaderValue) -> Option<Self> {
        // Long enough for two.
        let mut said = String::with_capacity(80);
        let mut refused = None;
        for (budget, whose) in budgets {
            let [before, after] = budget.said();
            said.push_str(if said.is_empty() { "" } else { ", " });
            said.push_str(before);
            // A string takes whatever is written.
            match budget.take(whose) {
                Ok(left) => {
                    let _ = write!(said, "{left}");
                    said.push_str(after);
                }
                Err(wait) => {
                    let _ = write!(said, "0;t={}", seconds(wait));
                    refused = Some(Refused { policy: *budget.policy(), wait });
                    break;
                }
            }
        }
        Some(Self { policies, left: HeaderValue::from_maybe_shared(Bytes::from(said)).ok()?, refused })
    }

    /// The answer to a request that is too many.
    pub fn refusal(&self) -> Option<Problem> {
        let Refused { policy, wait } = self.refused.as_ref()?;
        let detail = format!("{}: more than {} requests a minute.", policy.name, policy.per_minute);
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
