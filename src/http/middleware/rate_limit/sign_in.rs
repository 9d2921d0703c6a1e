//! Limits on requests that come without a token by nature: logging in, refreshing a session, registering.
//!
//! The policy of such a request is known once its body is read. A request whose body can't be read, or names no session, was
//! counted as anonymous already and costs nothing that honest guests need. Only what goes on from there, to a password's hash or a
//! write to the database, counts against the policies that bound these.

use super::{Allowance, LimitStatus, Limits, Problem, Requester};
use crate::{
    config::RouteClass,
    http::extract::from_head,
    services::accounts::{Caller, ClaimedAccount},
};
use actix_web::{
    HttpMessage,
    http::{Method, header::HeaderValue},
    web::Data,
};
use std::{cell::Cell, rc::Rc};

/// The lowest bit of an address's key that tells apart what is counted of the address. No address uses it: in an IPv4 address
/// the last 48 bits count (`::ffff:a.b.c.d`), in an IPv6 address the network's 64.
const PART_SHIFT: u32 = 48;

/// A part of what is counted of an address, by its number.
#[derive(Debug, Clone, Copy)]
pub struct AddressPart(u128);

/// The accounts that are known at an address, apart from those that are not.
pub const KNOWN_ACCOUNTS: AddressPart = AddressPart(1);

impl AddressPart {
    /// Returns the key under which this part of an address counts.
    pub fn of(self, address: u128) -> u128 {
        address | self.0 << PART_SHIFT
    }
}

/// Returns the part of an address for a route that a client without a token needs.
pub fn part_of(method: &Method, class: RouteClass) -> Option<AddressPart> {
    match class {
        RouteClass::Login if method == Method::POST => Some(AddressPart(1)),
        RouteClass::Refresh => Some(AddressPart(2)),
        RouteClass::Registration => Some(AddressPart(3)),
        _ => None,
    }
}

/// A request at such a route, of which more may be counted.
pub struct PendingSignIn {
    address: u128,
    first: LimitStatus,
    later: Cell<Option<LimitStatus>>,
}

impl PendingSignIn {
    pub fn new(address: u128, status: &LimitStatus) -> Self {
        Self { address, first: status.clone(), later: Cell::new(None) }
    }

    /// Takes the status that replaces the first one, where more was counted.
    pub fn take_status(&self) -> Option<LimitStatus> {
        self.later.take()
    }

    /// Adds the allowance to the status, and refuses a request beyond its limit.
    fn note(&self, allowance: Option<Allowance>) -> Result<(), Problem> {
        let Some(allowance) = allowance else { return Ok(()) };
        let both = |first: &HeaderValue, second: &HeaderValue| {
            let both = [first.as_bytes(), second.as_bytes()].join(&b", "[..]);
            HeaderValue::from_bytes(&both).ok()
        };
        let (first, second) = (&self.first, &allowance.status);
        let policies = both(&first.policies, &second.policies);
        let later = policies.zip(both(&first.remaining, &second.remaining));
        self.later.set(later.map(|(policies, remaining)| LimitStatus { policies, remaining }));
        allowance.problem().map_or(Ok(()), Err)
    }
}

/// Extracts a request without a token whose cost is known once its body is read. Nothing counts where no limits are set, or
/// where the request's token counted already.
pub struct SignIn(Option<(Data<Limits>, Rc<PendingSignIn>)>);

from_head!(SignIn, |request| {
    let pending = request.extensions().get::<Rc<PendingSignIn>>().cloned();
    Ok(Self(request.app_data::<Data<Limits>>().cloned().zip(pending)))
});

impl SignIn {
    /// Returns whether anything counts: otherwise the account need not be looked up.
    pub fn counts(&self) -> bool {
        self.0.is_some()
    }

    /// Counts a check of a password. Accounts that are known at the address share a quota that strangers can't use up, and staff
    /// accounts, which nobody can register, share none. The client is not told what is left: that would tell which accounts these
    /// are.
    pub fn login(&self, claimed: ClaimedAccount) -> Result<(), Problem> {
        let Some((limits, pending)) = &self.0 else { return Ok(()) };
        let address = if claimed.is_known { KNOWN_ACCOUNTS.of(pending.address) } else { pending.address };
        let requester = if claimed.is_staff { Requester::Staff } else { Requester::Customer };
        let limiters = limits.limiters(RouteClass::Login, requester);
        let allowance = limiters.and_then(|limiters| limiters.take(Some(claimed.name), Some((address, 1))));
        pending.note(allowance.filter(|allowance| allowance.refusal.is_some()))
    }

    /// Counts new tokens for a session's account.
    pub fn refresh(&self, owner: Caller) -> Result<(), Problem> {
        let Some((limits, pending)) = &self.0 else { return Ok(()) };
        pending.note(limits.count_caller(RouteClass::Refresh, owner, || pending.address))
    }

    pub fn registration(&self) -> Result<(), Problem> {
        let Some((limits, pending)) = &self.0 else { return Ok(()) };
        let limiters = limits.limiters(RouteClass::Registration, Requester::Anonymous);
        pending.note(limiters.and_then(|limiters| limiters.take(None, Some((pending.address, 1)))))
    }
}
