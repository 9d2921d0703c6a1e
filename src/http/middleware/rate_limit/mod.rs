//! Rate limits: by account for requests with a valid token, by address for all others. Each process counts for itself.
//!
//! A request without a valid token counts against the policy `anonymous-address`, which no account shares. That happens before
//! anything else of the request is looked at, so that refusing many of them is cheap. Logging in, refreshing and registering
//! come without a token by nature: their further cost is counted once the body is read (see [`SignIn`]).

mod limiter;
mod shared_addresses;
mod sign_in;

use super::{Answer, change_headers};
use crate::{
    config::{BudgetOwner, Policy, RateLimits, RouteClass},
    domain::network::client_network,
    http::{
        extract::{auth, client_ip::client_address},
        problem::Problem,
    },
    services::accounts::Caller,
};
use actix_web::{
    HttpMessage, HttpRequest,
    body::BoxBody,
    dev::ServiceRequest,
    http::{
        Method,
        header::{HeaderName, HeaderValue},
    },
    middleware::Next,
    web::{Bytes, Data},
};
use limiter::{PolicyLimiter, Share, WINDOW_SECONDS};
use shared_addresses::SharedAddresses;
pub use sign_in::SignIn;
use sign_in::{AddressPart, KNOWN_ACCOUNTS, PendingSignIn};
use std::{fmt::Write, rc::Rc, sync::Arc, time::Duration};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Paths of health checks and scrapes, which do not count.
pub const UNLIMITED_PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Accounts at one address for which the address gets one more share of its quota.
const ACCOUNTS_PER_SHARE: u32 = 10;
/// Beyond this an address is not a bar, but a client with many accounts.
const MAX_SHARES: u32 = 10;

/// The limiters of every policy, by class of route and by requester.
pub struct Limits {
    limiters: Vec<((RouteClass, Requester), RequestLimiters)>,
    shared_addresses: SharedAddresses,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Requester {
    Anonymous,
    /// Also an account whose role is not known.
    Customer,
    Staff,
}

/// The limiters that a request counts against.
struct RequestLimiters {
    account: Option<Arc<PolicyLimiter>>,
    address: Option<Arc<PolicyLimiter>>,
    /// The header `RateLimit-Policy` for both, by share of the address.
    policies: Vec<HeaderValue>,
}

/// The outcome of counting a request.
struct Allowance {
    status: LimitStatus,
    refusal: Option<Refusal>,
    /// The request as it goes on, where more may be counted later.
    pending: Option<Rc<PendingSignIn>>,
}

/// The values of the headers `RateLimit-Policy` and `RateLimit`.
#[derive(Clone)]
struct LimitStatus {
    policies: HeaderValue,
    remaining: HeaderValue,
}

/// A policy whose quota is used up.
struct Refusal {
    policy: Policy,
    per_minute: u32,
    wait: Duration,
}

/// Answers 429 to requests beyond a limit, and tells clients what is left.
pub async fn apply(request: ServiceRequest, next: Next<BoxBody>) -> Answer {
    let limits = request.app_data::<Data<Limits>>();
    let Some(allowance) = limits.and_then(|limits| limits.admit(request.request())) else {
        return next.call(request).await;
    };
    let answer = match allowance.problem() {
        Some(problem) => Ok(request.error_response(problem)),
        None => next.call(request).await,
    };
    change_headers(answer, |headers| {
        let LimitStatus { policies, remaining } = allowance.into_status();
        headers.insert(RATE_LIMIT_POLICY, policies);
        headers.insert(RATE_LIMIT, remaining);
    })
}

impl Limits {
    pub fn new(limits: &RateLimits) -> Self {
        let limiter = |policy: &Policy| Arc::new(PolicyLimiter::new(*policy, max_shares(policy)));
        let all: Vec<_> = limits.policies().iter().map(limiter).collect();
        let find = |class: RouteClass, owner: BudgetOwner| {
            let is_wanted = |policy: &Policy| (policy.kind, policy.whose) == (class, owner);
            all.iter().find(|limiter| is_wanted(&limiter.policy)).cloned()
        };
        let mut classes: Vec<_> = all.iter().map(|limiter| limiter.policy.kind).collect();
        classes.dedup();
        let mut limiters = Vec::new();
        for class in classes {
            for requester in [Requester::Customer, Requester::Staff, Requester::Anonymous] {
                let any_account = || find(class, BudgetOwner::Account);
                let account = match requester {
                    Requester::Anonymous => None,
                    Requester::Customer => any_account(),
                    Requester::Staff => find(class, BudgetOwner::Staff).or_else(any_account),
                };
                // Guests may share the address of the bar with its staff: they can't keep them from work.
                let is_apart = requester == Requester::Staff && account.is_some();
                let address = find(class, BudgetOwner::Address).filter(|_| !is_apart);
                limiters.extend(
                    RequestLimiters::new(account, address).map(|limiters| ((class, requester), limiters)),
                );
            }
        }
        Self { limiters, shared_addresses: SharedAddresses::new() }
    }

    /// Counts a request. None if no limit applies to it.
    fn admit(&self, request: &HttpRequest) -> Option<Allowance> {
        // As routes are found by it: not as the client wrote it, which may be in many ways.
        let path = request.match_info().as_str();
        if self.limiters.is_empty() || UNLIMITED_PATHS.contains(&path) {
            return None;
        }
        let class = route_class(request.method(), path);
        let caller = match class {
            // A client that registers has no account that would count.
            RouteClass::Registration => None,
            // Clients refresh once their token has expired, and must not share the quota of anonymous requests.
            RouteClass::Refresh => auth::known(request).or_else(|| auth::formerly_known(request)),
            _ => auth::known(request),
        };
        match caller {
            Some(caller) => self.count_caller(class, caller, || client_network(client_address(request))),
            None => self.count_anonymous(sign_in::part_of(request.method(), class), request),
        }
    }

    fn count_caller(
        &self,
        class: RouteClass,
        caller: Caller,
        address: impl FnOnce() -> u128,
    ) -> Option<Allowance> {
        let account = caller.id.0.as_u128();
        let limiters = self.limiters(class, Requester::of(caller))?;
        let address = limiters.address.as_ref().map(|_| {
            let address = address();
            let shares = 1 + self.shared_addresses.note(address, account) / ACCOUNTS_PER_SHARE;
            // Clients that guess at accounts have another part of the address.
            let key = if class == RouteClass::Login { KNOWN_ACCOUNTS.of(address) } else { address };
            (key, usize::try_from(shares).unwrap_or(usize::MAX))
        });
        limiters.take(Some(account), address)
    }

    /// Counts a request without a valid token. Each sign-in route has a part of its own, so that rubbish elsewhere closes none.
    fn count_anonymous(&self, sign_in: Option<AddressPart>, request: &HttpRequest) -> Option<Allowance> {
        let address = client_network(client_address(request));
        let key = sign_in.map_or(address, |part| part.of(address));
        let limiters = self.limiters(RouteClass::Anonymous, Requester::Anonymous)?;
        let mut allowance = limiters.take(None, Some((key, 1)))?;
        if sign_in.is_some() && allowance.refusal.is_none() {
            let pending = Rc::new(PendingSignIn::new(address, &allowance.status));
            request.extensions_mut().insert(Rc::clone(&pending));
            allowance.pending = Some(pending);
        }
        Some(allowance)
    }

    fn limiters(&self, class: RouteClass, requester: Requester) -> Option<&RequestLimiters> {
        self.limiters.iter().find(|(key, _)| *key == (class, requester)).map(|(_, limiters)| limiters)
    }
}

impl Requester {
    fn of(caller: Caller) -> Self {
        if caller.role.is_staff() { Self::Staff } else { Self::Customer }
    }
}

/// The most shares of a policy. Checks of passwords and new accounts have one: many accounts at an address must not get it more
/// guesses, or more accounts.
fn max_shares(policy: &Policy) -> u32 {
    let has_one = matches!(policy.kind, RouteClass::Login | RouteClass::Registration | RouteClass::Anonymous);
    if policy.whose == BudgetOwner::Address && !has_one { MAX_SHARES } else { 1 }
}

impl RequestLimiters {
    fn new(account: Option<Arc<PolicyLimiter>>, address: Option<Arc<PolicyLimiter>>) -> Option<Self> {
        let text = |limiter: &Arc<PolicyLimiter>, share: &Share| {
            format!("\"{}\";q={};w={WINDOW_SECONDS}", limiter.policy.name, share.per_minute)
        };
        let first = account.as_ref().and_then(|limiter| Some(text(limiter, limiter.share(1)?)));
        let both = |second| [first.clone(), second].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let policies: Vec<_> = match &address {
            Some(limiter) => limiter.shares.iter().map(|share| both(Some(text(limiter, share)))).collect(),
            None => vec![both(None)],
        };
        let policies = policies.into_iter().filter(|policies| !policies.is_empty());
        let policies: Vec<_> = policies.filter_map(|policies| HeaderValue::try_from(policies).ok()).collect();
        (!policies.is_empty()).then_some(Self { account, address, policies })
    }

    /// Takes one request of the account, and one of the address with this number of shares.
    fn take(&self, account: Option<u128>, address: Option<(u128, usize)>) -> Option<Allowance> {
        let shares = address.map_or(1, |(_, shares)| shares);
        let policies = self.policies.get(shares.saturating_sub(1)).or(self.policies.last())?.clone();
        let account = self.account.iter().zip(account).map(|(limiter, key)| (limiter, key, 1));
        let address = self.address.iter().zip(address).map(|(limiter, (key, shares))| (limiter, key, shares));
        // The account first: one that has used up its quota takes nothing from others at the address.
        Allowance::take(account.chain(address), policies)
    }
}

/// The class of a request, also where there is no such route.
fn route_class(method: &Method, path: &str) -> RouteClass {
    match (method, path) {
        (&Method::GET | &Method::HEAD | &Method::OPTIONS, _) => RouteClass::Reading,
        (&Method::POST, "/orders") => RouteClass::Ordering,
        (&Method::POST, "/register") => RouteClass::Registration,
        (&Method::POST, "/login") | (&Method::PUT, "/me/password") => RouteClass::Login,
        (&Method::POST, "/token/refresh") => RouteClass::Refresh,
        _ => RouteClass::Writing,
    }
}

impl Allowance {
    /// Takes one request from each limiter in turn, until one has none left.
    fn take<'a>(
        limiters: impl Iterator<Item = (&'a Arc<PolicyLimiter>, u128, usize)>,
        policies: HeaderValue,
    ) -> Option<Self> {
        // Long enough for two policies.
        let mut remaining = String::with_capacity(80);
        let mut refusal = None;
        for (limiter, key, shares) in limiters {
            let share = limiter.share(shares)?;
            let [before, after] = &share.header_parts;
            remaining.push_str(if remaining.is_empty() { "" } else { ", " });
            remaining.push_str(before);
            // Writing to a string does not fail.
            match share.take(key) {
                Ok(left) => {
                    let _ = write!(remaining, "{left}");
                    remaining.push_str(after);
                }
                Err(wait) => {
                    let _ = write!(remaining, "0;t={}", seconds(wait));
                    let (policy, per_minute) = (limiter.policy, share.per_minute.get());
                    refusal = Some(Refusal { policy, per_minute, wait });
                    break;
                }
            }
        }
        let remaining = HeaderValue::from_maybe_shared(Bytes::from(remaining)).ok()?;
        Some(Self { status: LimitStatus { policies, remaining }, refusal, pending: None })
    }

    fn problem(&self) -> Option<Problem> {
        let Refusal { policy, per_minute, wait } = self.refusal.as_ref()?;
        let detail = format!("{}: more than {per_minute} requests a minute.", policy.name);
        Some(Problem::too_many(detail, seconds(*wait)))
    }

    fn into_status(self) -> LimitStatus {
        self.pending.and_then(|pending| pending.take_status()).unwrap_or(self.status)
    }
}

/// Returns whole seconds, rounded up, so that a retry after them is not too early.
fn seconds(wait: Duration) -> u16 {
    u16::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u16::MAX).max(1)
}
