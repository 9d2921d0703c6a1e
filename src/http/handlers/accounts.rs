//! Registration, and the caller's own account.

use super::prelude::*;
use crate::http::{
    extract::{client_ip::client_address, idempotency, json::Json},
    middleware::rate_limit::SignIn,
    responses::{SignedInView, UserView},
};
use crate::{
    domain::{
        FieldError,
        account::{Email, Password},
        text::Username,
    },
    services::{
        accounts::{AccountError, LoginError},
        orders::intake::IdempotencyKey,
    },
};
use actix_web::http::header;
use secrecy::SecretString;

/// The account that a guest registers.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(examples(json!({ "username": "Ana", "email": "ana@example.com", "password": "seven green limes" })))]
pub struct Registration {
    /// The name that people see; other accounts may have the same.
    username: Username,
    /// The address that it signs in with.
    email: Email,
    /// 8 to 72 bytes in UTF-8 when it is normalized (NFKC), and not easy to guess.
    #[schema(value_type = String, format = Password, write_only, min_length = 2, max_length = 72)]
    password: Password,
}

/// Registers a customer and signs in
#[utoipa::path(post, path = "/register", operation_id = "register", tag = "accounts",
    params(KeyHeader),
    request_body = Registration,
    responses(
        (status = 201, description = "The account, signed in.", body = SignedInView,
            headers(("Location" = String))),
        ForBody, EmailTaken, AccountInactive, TooManyFailures, KeyReused, Unavailable))]
pub async fn register(
    app: Data<AppState>,
    request: HttpRequest,
    limits: SignIn,
    Json(registration): Json<Registration>,
) -> Answer {
    let Registration { username, email, password } = registration;
    let (address, key) = (client_address(&request), idempotency::key(&request)?);
    let key = key.as_ref().map(IdempotencyKey::as_str);
    limits.registration()?;
    let signed_in = app.accounts.register(username, email, &password, address, key).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, "/me"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(SignedInView::from(signed_in)))
}

/// Shows the caller's own account
#[utoipa::path(get, path = "/me", operation_id = "get_me", tag = "accounts", security(("token" = [])),
    responses((status = 200, description = "The account.", body = UserView), ForToken, Unavailable))]
pub async fn me(app: Data<AppState>, SignedIn(caller): SignedIn) -> Answer {
    match app.accounts.find(caller.id).await {
        Err(AccountError::Unknown) => Err(Problem::not_signed_in()),
        found => Ok(HttpResponse::Ok().json(UserView::from(found?))),
    }
}

/// The old password and the new one.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(examples(json!({ "current_password": "password123", "new_password": "seven green limes" })))]
pub struct PasswordChange {
    /// The password that the account has.
    #[schema(format = Password, write_only)]
    current_password: String,
    /// 8 to 72 bytes in UTF-8 when it is normalized (NFKC), and not easy to guess.
    #[schema(value_type = String, format = Password, write_only, min_length = 2, max_length = 72)]
    new_password: Password,
}

/// Changes the password of the caller, who must know the old one
///
/// The account's other sessions end.
#[utoipa::path(put, path = "/me/password", operation_id = "change_password", tag = "accounts",
    security(("token" = [])),
    request_body = PasswordChange,
    responses((status = 204, description = "The new password counts from now on."), ForToken, NotPermitted,
        TooManyFailures, ForBody, Unavailable))]
pub async fn change_password(
    app: Data<AppState>,
    SignedIn(caller): SignedIn,
    Json(change): Json<PasswordChange>,
) -> Answer {
    let current = SecretString::from(change.current_password);
    match app.accounts.change_password(caller, &current, &change.new_password).await {
        // The token is fine, so not 401: a client must not sign out for a typing error.
        Err(AccountError::Login(LoginError::WrongPassword)) => {
            Err(Problem::not_permitted("The current password is wrong."))
        }
        Err(guessable @ AccountError::Guessable) => {
            Err(FieldError::new("new_password", guessable.to_string()).into())
        }
        outcome => Ok(outcome.map(|()| HttpResponse::NoContent().finish())?),
    }
}
