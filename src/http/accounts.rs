//! Registering, signing in, and one's own account.

use super::{
    App,
    body::Json,
    caller::SignedIn,
    problem::Problem,
    views::{SignedInView, UserView},
};
use crate::domain::{
    Invalid,
    account::{Email, Password},
    text::Username,
};
use actix_web::{HttpResponse, Responder, http::header, web::Data};
use secrecy::SecretString;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    username: Username,
    email: String,
    password: String,
}

/// `POST /register`: makes a customer.
pub async fn register(
    app: Data<App>,
    Json(registration): Json<Registration>,
) -> Result<impl Responder, Problem> {
    let email =
        Email::try_from(registration.email.as_str()).map_err(|problem| Invalid::new("email", problem))?;
    let password = new_password("password", registration.password)?;
    let signed_in = app.accounts.register(registration.username, email, &password).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, "/me"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(SignedInView::from(signed_in)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    email: String,
    password: String,
}

/// `POST /login`: a token for an e-mail and its password.
pub async fn login(app: Data<App>, Json(login): Json<Login>) -> Result<impl Responder, Problem> {
    let signed_in = app.accounts.login(&login.email, &SecretString::from(login.password)).await?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(SignedInView::from(signed_in)))
}

/// `GET /me`: the caller's own account.
pub async fn me(app: Data<App>, SignedIn(caller): SignedIn) -> Result<impl Responder, Problem> {
    Ok(HttpResponse::Ok().json(UserView::from(app.accounts.find(caller.id).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    current_password: String,
    new_password: String,
}

/// `PUT /me/password`: another password, for who knows the old one.
pub async fn change_password(
    app: Data<App>,
    SignedIn(caller): SignedIn,
    Json(change): Json<PasswordChange>,
) -> Result<impl Responder, Problem> {
    let new = new_password("new_password", change.new_password)?;
    match app.accounts.change_password(caller.id, &SecretString::from(change.current_password), &new).await {
        // The token is fine, so not 401: a client must not sign out for a typing error.
        Err(crate::accounts::Denied::WrongPassword) => {
            Err(Problem::not_permitted("The current password is wrong."))
        }
        outcome => Ok(outcome.map(|()| HttpResponse::NoContent())?),
    }
}

fn new_password(field: &str, text: String) -> Result<Password, Problem> {
    Password::try_from(&SecretString::from(text)).map_err(|problem| Invalid::new(field, problem).into())
}
