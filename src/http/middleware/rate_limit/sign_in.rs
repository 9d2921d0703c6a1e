//! Limits on what comes without a token by nature: signing in, going on with a session, registering.
//!
//! Whose budget such a request is under is known once its body is read. What can't be read as a body, or names no session, was counted
//! as anybody's already and costs nothing that honest guests need; only what goes on from there, to a password's hash or a write to the
//! database, is taken from the budgets that bound these.

use super::{Allowance, LimitStatus, Limits, PART, Problem, Requester};
use crate::{
    config::RouteClass,
    services::accounts::{Caller, ClaimedAccount},
};
use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::{Method, header::HeaderValue},
    web::Data,
};
use std::{
    cell::Cell,
    convert::Infallible,
    future::{Ready, ready},
    rc::Rc,
};

/// A way in.
#[derive(Debug, Clone, Copy)]
pub enum Door {
    Login,
    Refresh,
    Registration,
}

impl Door {
    /// The one that a request is at, if it is at one.
    pub fn of(method: &Method, path: &str) -> Option<Self> {
        match (method, path) {
            (&Method::POST, "/login") => Some(Self::Login),
            (&Method::POST, "/token/refresh") => Some(Self::Refresh),
            (&Method::POST, "/register") => Some(Self::Registration),
            _ => None,
        }
    }

    /// What is counted of an address here, apart from the rest of it.
    pub fn part_of(self, address: u128) -> u128 {
        let part: u128 = match self {
            Self::Login => 1,
            Self::Refresh => 2,
            Self::Registration => 3,
        };
        address | part << PART
    }
}

/// What is counted of the accounts that are known at an address, apart from those that are not.
pub fn known_at(address: u128) -> u128 {
    address | 1 << PART
}

/// A request at a door that goes on to be counted.
pub struct Pending {
    address: u128,
    policies: HeaderValue,
    left: HeaderValue,
    later: Cell<Option<LimitStatus>>,
}

impl Pending {
    pub fn new(address: u128, told: &LimitStatus) -> Self {
        Self { address, policies: told.policies.clone(), left: told.left.clone(), later: Cell::new(None) }
    }

    /// What the client is told instead of what it was to be told at first.
    pub fn told(&self) -> Option<LimitStatus> {
        self.later.take()
    }

    /// Tells the client of this as well, and refuses what is too many.
    fn note(&self, allowance: Option<Allowance>) -> Result<(), Problem> {
        let Some(allowance) = allowance else { return Ok(()) };
        let both = |first: &HeaderValue, second: &HeaderValue| {
            let both = [first.as_bytes(), second.as_bytes()].join(&b", "[..]);
            HeaderValue::from_bytes(&both).ok()
        };
        let policies = both(&self.policies, &allowance.told.policies);
        if let Some((policies, left)) = policies.zip(both(&self.left, &allowance.told.left)) {
            self.later.set(Some(LimitStatus { policies, left }));
        }
        allowance.refusal().map_or(Ok(()), Err)
    }

    /// Tells the client nothing unless it is refused.
    fn note_quietly(&self, allowance: Option<Allowance>) -> Result<(), Problem> {
        match allowance {
            Some(allowance) if allowance.refused.is_some() => self.note(Some(allowance)),
            _ => Ok(()),
        }
    }
}

/// What a request without a token costs once it is known what it is. None: nothing is counted, or it was by its token.
pub struct SignIn(Option<(Data<Limits>, Rc<Pending>)>);

impl FromRequest for SignIn {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let pending = request.extensions().get::<Rc<Pending>>().cloned();
        ready(Ok(Self(request.app_data::<Data<Limits>>().cloned().zip(pending))))
    }
}

impl SignIn {
    /// Whether anything is counted here: otherwise nobody needs to know whose it would be.
    pub fn counts(&self) -> bool {
        self.0.is_some()
    }

    /// A password is going to be looked at. Accounts that are known at the address share a budget that strangers can't use up, and staff
    /// whom nobody can register share none. What is left is not told: it would tell which accounts these are.
    pub fn login(&self, claimed: ClaimedAccount) -> Result<(), Problem> {
        let Some((limits, pending)) = &self.0 else { return Ok(()) };
        let address = if claimed.is_known { known_at(pending.address) } else { pending.address };
        let under = limits
            .under(RouteClass::Login, if claimed.is_staff { Requester::Staff } else { Requester::Customer });
        pending.note_quietly(under.and_then(|under| under.take(Some(claimed.name), Some((address, 1)))))
    }

    /// A session's account is going to have its next tokens.
    pub fn refresh(&self, owner: Caller) -> Result<(), Problem> {
        let Some((limits, pending)) = &self.0 else { return Ok(()) };
        pending.note(limits.account(RouteClass::Refresh, owner, || pending.address))
    }

    /// An account is going to be made.
    pub fn registration(&self) -> Result<(), Problem> {
        let Some((limits, pending)) = &self.0 else { return Ok(()) };
        let under = limits.under(RouteClass::Registration, Requester::Nobody);
        pending.note(under.and_then(|under| under.take(None, Some((pending.address, 1)))))
    }
}
