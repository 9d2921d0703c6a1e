//! Limits on how many requests are answered: by account for who is signed in, by address for everybody. In this process; others
//! count for themselves.
//!
//! Who shows no valid token is nobody, and spends what nobody needs who is signed in: `anonymous-address`. That is taken before
//! anything else of the request is looked at, so that too many are refused cheaply. Signing in, going on and registering come without a
//! token by nature: what they cost beyond that is known when the body is read (see [`SignIn`]).

mod limiter;
mod shared_addresses;
mod sign_in;

use crate::http::{
    extract::{
        auth,
        client_ip::{client_address, key},
    },
    problem::Problem,
};
use crate::{
    config::{BudgetOwner, Policy, RateLimits, RouteClass},
    services::accounts::Caller,
};
use actix_web::{
    HttpMessage, HttpRequest,
    http::{
        Method,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    web::Bytes,
};
use limiter::{PolicyLimiter, Share, WINDOW_SECONDS};
use shared_addresses::SharedAddresses;
pub use sign_in::SignIn;
use sign_in::{Door, Pending};
use std::{fmt::Write, rc::Rc, sync::Arc, time::Duration};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The bits of an address's key that no address uses: of IPv4 the last 48 are (`::ffff:a.b.c.d`), of IPv6 the network's.
const PART: u32 = 48;

/// What those who watch over the process ask for is not counted.
pub const WATCHED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The accounts at one address for which its budgets are once more as large as they are set,
const ACCOUNTS_PER_SHARE: u32 = 10;
/// and how often at most: beyond that an address is no bar but somebody with many accounts.
const MAX_SHARES: u32 = 10;

/// What is counted, by kind of request and by who asks.
pub struct Limits {
    under: Vec<((RouteClass, Requester), Under)>,
    crowds: SharedAddresses,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Requester {
    /// Somebody without a valid token.
    Nobody,
    /// A customer, or an account of which no more is known.
    Customer,
    /// An employee or admin.
    Staff,
}

/// The budgets that a request is under.
struct Under {
    own: Option<Arc<PolicyLimiter>>,
    shared: Option<Arc<PolicyLimiter>>,
    /// Both, as the client is told, for each multiple of the shared one.
    policies: Vec<HeaderValue>,
}

/// What became of a request under its budgets.
pub struct Allowance {
    told: LimitStatus,
    refused: Option<Refused>,
    /// What it is told instead, if more was taken later.
    later: Option<Rc<Pending>>,
}

/// What the client is told.
struct LimitStatus {
    policies: HeaderValue,
    left: HeaderValue,
}

/// Why there is no answer, and for how long.
struct Refused {
    policy: Policy,
    per_minute: u32,
    wait: Duration,
}

impl Limits {
    /// Fresh budgets under these policies.
    pub fn new(limits: &RateLimits) -> Self {
        let budget = |policy: &Policy| Arc::new(PolicyLimiter::new(*policy, ceiling(policy)));
        let budgets: Vec<_> = limits.policies().iter().map(budget).collect();
        let of = |kind: RouteClass, whose: BudgetOwner| {
            let budget =
                budgets.iter().find(|budget| (budget.policy().kind, budget.policy().whose) == (kind, whose));
            budget.cloned()
        };
        let kinds = [
            RouteClass::Ordering,
            RouteClass::Reading,
            RouteClass::Writing,
            RouteClass::Anonymous,
            RouteClass::Login,
            RouteClass::Refresh,
            RouteClass::Registration,
        ];
        let all = kinds.into_iter().flat_map(|kind| {
            [Requester::Customer, Requester::Staff, Requester::Nobody].map(|who| {
                let account = || of(kind, BudgetOwner::Account);
                let own = match who {
                    Requester::Nobody => None,
                    Requester::Customer => account(),
                    Requester::Staff => of(kind, BudgetOwner::Staff).or_else(account),
                };
                // Guests may share the address of the bar with its staff: they can't keep them from work.
                let apart = who == Requester::Staff && own.is_some();
                let shared = of(kind, BudgetOwner::Address).filter(|_| !apart);
                ((kind, who), own, shared)
            })
        });
        let under = all.filter_map(|(who, own, shared)| Some((who, Under::new(own, shared)?))).collect();
        Self { under, crowds: SharedAddresses::new() }
    }

    /// Takes one request from the budgets that it is under. None if it is under none.
    pub fn admit(&self, request: &HttpRequest) -> Option<Allowance> {
        // As routes are found by it: not as the client wrote it, which may be in many ways.
        let path = request.match_info().as_str();
        if self.under.is_empty() || WATCHED.contains(&path) {
            return None;
        }
        let kind = kind(request.method(), path);
        let caller = match kind {
            // Who makes an account has none that would count.
            RouteClass::Registration => None,
            // Clients go on with a session once their token has expired, and must not share what nobody needs a token for.
            RouteClass::Refresh => auth::known(request).or_else(|| auth::formerly_known(request)),
            _ => auth::known(request),
        };
        match caller {
            Some(caller) => self.account(kind, caller, || key(client_address(request))),
            None => self.nobody(Door::of(request.method(), path), request),
        }
    }

    /// One request of somebody who is signed in.
    fn account(&self, kind: RouteClass, caller: Caller, address: impl FnOnce() -> u128) -> Option<Allowance> {
        let (who, id) = (Requester::of(caller), caller.id.0.as_u128());
        let under = self.under(kind, who)?;
        let shared = under.shared.as_ref().map(|_| {
            let address = address();
            let shares = 1 + self.crowds.note(address, id) / ACCOUNTS_PER_SHARE;
            // Those who do not know whose password they try have another part of it.
            let key = if kind == RouteClass::Login { sign_in::known_at(address) } else { address };
            (key, usize::try_from(shares).unwrap_or(usize::MAX))
        });
        under.take(Some(id), shared)
    }

    /// One request without a valid token. Each door has a part of its own, so that rubbish elsewhere closes none of them.
    fn nobody(&self, door: Option<Door>, request: &HttpRequest) -> Option<Allowance> {
        let address = key(client_address(request));
        let part = door.map_or(address, |door| door.part_of(address));
        let mut allowance =
            self.under(RouteClass::Anonymous, Requester::Nobody)?.take(None, Some((part, 1)))?;
        if door.is_some() && allowance.refused.is_none() {
            let pending = Rc::new(Pending::new(address, &allowance.told));
            request.extensions_mut().insert(Rc::clone(&pending));
            allowance.later = Some(pending);
        }
        Some(allowance)
    }

    fn under(&self, kind: RouteClass, who: Requester) -> Option<&Under> {
        self.under.iter().find(|(one, _)| *one == (kind, who)).map(|(_, under)| under)
    }
}

impl Requester {
    fn of(caller: Caller) -> Self {
        if caller.role.is_staff() { Self::Staff } else { Self::Customer }
    }
}

/// How many times as large a policy's budgets may become. What looks at passwords or makes accounts stays as it is set: who makes many
/// accounts must not get more guesses, or more accounts, by that.
fn ceiling(policy: &Policy) -> u32 {
    match (policy.whose, policy.kind) {
        (
            BudgetOwner::Address,
            RouteClass::Refresh | RouteClass::Ordering | RouteClass::Reading | RouteClass::Writing,
        ) => MAX_SHARES,
        _ => 1,
    }
}

impl Under {
    fn new(own: Option<Arc<PolicyLimiter>>, shared: Option<Arc<PolicyLimiter>>) -> Option<Self> {
        let said = |budget: &Arc<PolicyLimiter>, share: &Share| {
            format!("\"{}\";q={};w={WINDOW_SECONDS}", budget.policy().name, share.per_minute)
        };
        let first = own.as_ref().and_then(|budget| Some(said(budget, budget.share(1)?)));
        let both = |second| [first.clone(), second].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let policies: Vec<_> = match &shared {
            Some(budget) => budget.shares().iter().map(|share| both(Some(said(budget, share)))).collect(),
            None => vec![both(None)],
        };
        let policies = policies.into_iter().filter(|policies| !policies.is_empty());
        let policies: Vec<_> = policies.filter_map(|policies| HeaderValue::try_from(policies).ok()).collect();
        (!policies.is_empty()).then_some(Self { own, shared, policies })
    }

    /// Takes one of each: of the account's own, and of this multiple of what others share with it.
    fn take(&self, own: Option<u128>, shared: Option<(u128, usize)>) -> Option<Allowance> {
        let multiple = shared.map_or(1, |(_, multiple)| multiple);
        let policies = self.policies.get(multiple.saturating_sub(1)).or(self.policies.last())?.clone();
        let own = self.own.iter().zip(own).map(|(budget, whose)| (budget, whose, 1));
        let shared =
            self.shared.iter().zip(shared).map(|(budget, (whose, multiple))| (budget, whose, multiple));
        // The own budget first: who has used it up takes nothing from those who share the address.
        Allowance::of(own.chain(shared), policies)
    }
}

/// Under which budgets a request is. What there is no route for counts as well.
fn kind(method: &Method, path: &str) -> RouteClass {
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
    /// Takes from one budget after the other until one has none.
    fn of<'a>(
        budgets: impl Iterator<Item = (&'a Arc<PolicyLimiter>, u128, usize)>,
        policies: HeaderValue,
    ) -> Option<Self> {
        // Long enough for two.
        let mut said = String::with_capacity(80);
        let mut refused = None;
        for (budget, whose, multiple) in budgets {
            let share = budget.share(multiple)?;
            let [before, after] = &share.said;
            said.push_str(if said.is_empty() { "" } else { ", " });
            said.push_str(before);
            // A string takes whatever is written.
            match share.take(whose) {
                Ok(left) => {
                    let _ = write!(said, "{left}");
                    said.push_str(after);
                }
                Err(wait) => {
                    let _ = write!(said, "0;t={}", seconds(wait));
                    refused =
                        Some(Refused { policy: *budget.policy(), per_minute: share.per_minute.get(), wait });
                    break;
                }
            }
        }
        let left = HeaderValue::from_maybe_shared(Bytes::from(said)).ok()?;
        Some(Self { told: LimitStatus { policies, left }, refused, later: None })
    }

    /// The answer to a request that is too many.
    pub fn refusal(&self) -> Option<Problem> {
        let Refused { policy, per_minute, wait } = self.refused.as_ref()?;
        let detail = format!("{}: more than {per_minute} requests a minute.", policy.name);
        Some(Problem::too_many(detail, seconds(*wait)))
    }

    /// Tells the client.
    pub fn tell(self, headers: &mut HeaderMap) {
        let LimitStatus { policies, left } = self.later.and_then(|later| later.told()).unwrap_or(self.told);
        headers.insert(RATE_LIMIT_POLICY, policies);
        headers.insert(RATE_LIMIT, left);
    }
}

/// Whole seconds, and never too few.
fn seconds(wait: Duration) -> u16 {
    u16::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u16::MAX).max(1)
}
