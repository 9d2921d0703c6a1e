//! Who may call a route is in its handler's signature: one of these, or nobody needs to sign in.

use super::{App, problem::Problem};
use crate::accounts::Caller;
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
    let app = request.app_data::<Data<App>>().ok_or_else(Problem::not_signed_in)?;
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    // The scheme's name may be written in any case (RFC 9110).
    let (scheme, token) =
        header.and_then(|value| value.split_once(' ')).ok_or_else(Problem::not_signed_in)?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(Problem::not_signed_in());
    }
    Ok(app.accounts.caller(token.trim())?)
}
