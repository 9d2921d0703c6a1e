//! Sessions: login, token refresh and logout.

use super::prelude::*;
use crate::http::{
    extract::{client_ip::client_address, json::Json},
    middleware::rate_limit::SignIn,
    responses::SignedInView,
};
use crate::{
    domain::FieldError,
    services::accounts::{IssuedTokens, LoginError, RefreshToken},
};
use actix_web::http::header;
use secrecy::SecretString;

/// The credentials of an account.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(examples(json!({ "email": "user@example.com", "password": "password123" })))]
pub struct Login {
    /// The account's address, in upper or lower case.
    email: String,
    /// The password of the account.
    #[schema(format = Password, write_only)]
    password: String,
}

/// Signs in with an e-mail and its password
#[utoipa::path(post, path = "/login", operation_id = "login", tag = "accounts",
    request_body = Login,
    responses(
        (status = 200, description = "Signed in.", body = SignedInView),
        WrongPassword, AccountInactive, TooManyFailures, ForBody, Unavailable))]
pub async fn login(
    app: Data<AppState>,
    request: HttpRequest,
    limits: SignIn,
    Json(login): Json<Login>,
) -> Answer {
    let (password, address) = (SecretString::from(login.password), client_address(&request));
    if limits.counts() {
        limits.login(app.accounts.claimed(&login.email, address).await?)?;
    }
    Ok(tokens_response(app.accounts.login(&login.email, &password, address).await?))
}

/// The refresh token of a session.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(examples(json!({ "refresh_token": "AaIDxxxwdVOktN6Xt1UYOdcPbWD6Q0qh3kV1R8yq2oZ0lYx4JtB7uN5mE9wS6cKf" })))]
pub struct Refresh {
    /// The latest refresh token of the session.
    #[schema(format = Password, write_only, min_length = 64, max_length = 64, pattern = "^[A-Za-z0-9_-]{64}$")]
    refresh_token: String,
}

/// Gets the next tokens of a session
///
/// A refresh token can be used once; one that is used again ends its session.
#[utoipa::path(post, path = "/token/refresh", operation_id = "refresh_token", tag = "accounts",
    request_body = Refresh,
    responses(
        (status = 200, description = "The account as it now is, and the next tokens.", body = SignedInView),
        SessionEnded, ForBody, Unavailable))]
pub async fn refresh(app: Data<AppState>, limits: SignIn, Json(refresh): Json<Refresh>) -> Answer {
    let token = RefreshToken::parse(&refresh.refresh_token)
        .ok_or_else(|| FieldError::new("refresh_token", "must be one as it was given out"))?;
    if limits.counts() {
        let owner = app.accounts.owner(&token).await?;
        limits.refresh(owner.ok_or(LoginError::SessionEnded)?)?;
    }
    Ok(tokens_response(app.accounts.refresh(token).await?))
}

/// Ends the caller's session
///
/// Its tokens are no longer valid.
#[utoipa::path(post, path = "/logout", operation_id = "logout", tag = "accounts", security(("token" = [])),
    responses((status = 204, description = "The session has ended."), ForToken, Unavailable))]
pub async fn logout(app: Data<AppState>, SignedIn(caller): SignedIn) -> Answer {
    app.accounts.logout(caller).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn tokens_response(tokens: IssuedTokens) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(SignedInView::from(tokens))
}
