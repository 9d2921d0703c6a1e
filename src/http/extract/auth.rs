//! Authentication: a handler whose route needs an account has one of these extractors in its signature.

use crate::{
    domain::account::Role,
    http::{app_state::AppState, problem::Problem},
    services::accounts::Caller,
};
use actix_web::{HttpRequest, http::header, web::Data};

/// Extracts the caller, of any role.
pub struct SignedIn(pub Caller);

/// Extracts the caller, an employee or admin.
pub struct Staff(pub Caller);

/// Extracts the caller, an admin.
pub struct Admin(pub Caller);

from_head!(SignedIn, |request| caller(request).map(Self));
from_head!(Staff, |request| permitted(request, Role::is_staff, "This is for staff.").map(Self));
from_head!(Admin, |request| permitted(request, |role| role == Role::Admin, "This is for admins.").map(Self));

/// Returns the caller, or 401.
pub fn caller(request: &HttpRequest) -> Result<Caller, Problem> {
    let (app, token) = presented(request).ok_or_else(Problem::not_signed_in)?;
    Ok(app.accounts.caller(token)?)
}

fn permitted(request: &HttpRequest, permits: fn(Role) -> bool, refusal: &str) -> Result<Caller, Problem> {
    let caller = caller(request)?;
    if permits(caller.role) { Ok(caller) } else { Err(Problem::not_permitted(refusal)) }
}

/// Returns the caller, also where the route needs none.
pub fn known(request: &HttpRequest) -> Option<Caller> {
    let (app, token) = presented(request)?;
    app.accounts.caller(token).ok()
}

/// Returns the account of a token that may have expired: enough to count the request by account, and for nothing else.
pub fn formerly_known(request: &HttpRequest) -> Option<Caller> {
    let (app, token) = presented(request)?;
    app.accounts.tokens.verify_signature(token)
}

/// Returns the time at which the request's access token expires, in seconds since the Unix epoch.
pub fn expiry(request: &HttpRequest) -> Option<i64> {
    let (app, token) = presented(request)?;
    app.accounts.tokens.expiry(token)
}

/// Returns the request's token, which may be invalid.
fn presented(request: &HttpRequest) -> Option<(&AppState, &str)> {
    let header = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    // The scheme's name is case-insensitive (RFC 9110).
    let (_, token) = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))?;
    Some((request.app_data::<Data<AppState>>()?, token.trim()))
}
