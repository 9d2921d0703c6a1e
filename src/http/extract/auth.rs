//! Who may call a route is in its handler's signature: one of these, or nobody needs to sign in.

use crate::http::{app_state::AppState, problem::Problem};
use crate::services::accounts::Caller;
use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header, web::Data};
use std::future::{Ready, ready};

/// Anyone with an account.
pub struct SignedIn(pub Caller);

/// Those who work at the bar.
pub struct Staff(pub Caller);

/// Those who look after the system.
pub struct Admin(pub Caller);

impl FromRequest for SignedIn {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request).map(Self))
    }
}

impl FromRequest for Staff {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request).and_then(|caller| {
            if caller.role.is_staff() {
                Ok(Self(caller))
            } else {
                Err(Problem::not_permitted("This is for staff."))
            }
        }))
    }
}

impl FromRequest for Admin {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request).and_then(|caller| match caller.role {
            crate::domain::account::Role::Admin => Ok(Self(caller)),
            _ => Err(Problem::not_permitted("This is for admins.")),
        }))
    }
}

fn caller(request: &HttpRequest) -> Result<Caller, Problem> {
    let (app, token) = presented(request).ok_or_else(Problem::not_signed_in)?;
    Ok(app.accounts.caller(token)?)
}

/// Who makes a request, whether or not the route asks.
pub fn known(request: &HttpRequest) -> Option<Caller> {
    let (app, token) = presented(request)?;
    app.accounts.caller(token).ok()
}

/// The account that made a request, by a token that may have expired: enough to count it by account, and for nothing else.
pub fn formerly_known(request: &HttpRequest) -> Option<Caller> {
    let (app, token) = presented(request)?;
    app.accounts.former_caller(token)
}

/// The token that a request brings, whatever it is worth.
fn presented(request: &HttpRequest) -> Option<(&AppState, &str)> {
    let header = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    // The scheme's name may be written in any case (RFC 9110).
    let (_, token) = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))?;
    Some((request.app_data::<Data<AppState>>()?, token.trim()))
}
