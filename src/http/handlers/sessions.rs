//! Sessions: signing in, going on, and signing out.

use crate::http::{
    app_state::AppState,
    extract::{auth::SignedIn, client_ip::client_address, json::Json},
    middleware::rate_limit::SignIn,
    openapi::{
        AccountInactive, ForBody, ForToken, SessionEnded, TooManyFailures, Unavailable, WrongPassword,
    },
    problem::Problem,
    responses::SignedInView,
};
use crate::{
    domain::FieldError,
    services::accounts::{LoginError, RefreshToken},
};
use actix_web::{HttpRequest, HttpResponse, Responder, http::header, web::Data};
use deserr::Deserr;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

/// Who signs in.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(examples(json!({ "email": "user@example.com", "password": "password123" })))]
pub struct Login {
    /// The account's address, in any case.
    email: String,
    /// Its password.
    #[schema(format = Password, write_only)]
    password: String,
}

/// `POST /login`: tokens for an e-mail and its password.
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
) -> Result<impl Responder, Problem> {
    let (password, address) = (SecretString::from(login.password), client_address(&request));
    if limits.counts() {
        limits.login(app.accounts.claimed(&login.email, address).await?)?;
    }
    Ok(answer(app.accounts.login(&login.email, &password, address).await?))
}

/// What a session goes on with.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(examples(json!({ "refresh_token": "AaIDxxxwdVOktN6Xt1UYOdcPbWD6Q0qh3kV1R8yq2oZ0lYx4JtB7uN5mE9wS6cKf" })))]
pub struct Refresh {
    /// The latest one of the session.
    #[schema(format = Password, write_only, min_length = 64, max_length = 64, pattern = "^[A-Za-z0-9_-]{64}$")]
    refresh_token: String,
}

/// `POST /token/refresh`: the next tokens of a session. A refresh token counts once; one that was used before ends its session.
#[utoipa::path(post, path = "/token/refresh", operation_id = "refresh_token", tag = "accounts",
    request_body = Refresh,
    responses(
        (status = 200, description = "The account as it now is, and the next tokens.", body = SignedInView),
        SessionEnded, ForBody, Unavailable))]
pub async fn refresh(
    app: Data<AppState>,
    limits: SignIn,
    Json(refresh): Json<Refresh>,
) -> Result<impl Responder, Problem> {
    let token = RefreshToken::parse(&refresh.refresh_token)
        .ok_or_else(|| FieldError::new("refresh_token", "must be one as it was given out"))?;
    if limits.counts() {
        let owner = app.accounts.owner(&token).await?;
        limits.refresh(owner.ok_or(LoginError::SessionEnded)?)?;
    }
    Ok(answer(app.accounts.refresh(token).await?))
}

/// `POST /logout`: ends the caller's session. Its tokens count no more.
#[utoipa::path(post, path = "/logout", operation_id = "logout", tag = "accounts", security(("token" = [])),
    responses((status = 204, description = "It has ended."), ForToken, Unavailable))]
pub async fn logout(app: Data<AppState>, SignedIn(caller): SignedIn) -> Result<impl Responder, Problem> {
    app.accounts.logout(caller).await?;
    Ok(HttpResponse::NoContent())
}

fn answer(signed_in: crate::services::accounts::IssuedTokens) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(SignedInView::from(signed_in))
}
