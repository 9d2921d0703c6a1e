//! Accounts, for admins.

use super::{
    App,
    body::Json,
    caller::Admin,
    openapi::{ForBody, ForQuery, ForToken, LastAdmin, Missing, Page, Unavailable},
    problem::Problem,
    query::{self, Query, cut},
    views::{UserView, UsersView},
};
use crate::domain::{Invalid, account::Role, ids::UserId};
use actix_web::{
    HttpRequest, HttpResponse, Responder,
    web::{Data, Path},
};
use serde::Deserialize;
use utoipa::ToSchema;

/// The list of accounts, in cursors.
const LIST: char = 'u';

/// `GET /users`: all accounts, oldest first.
#[utoipa::path(get, path = "/users", operation_id = "list_accounts", tag = "accounts",
    security(("token" = ["admin"])),
    params(Page),
    responses((status = 200, description = "A page of them.", body = UsersView, headers(("Link" = String))), ForToken, ForQuery, Unavailable))]
pub async fn list(app: Data<App>, _: Admin, request: HttpRequest) -> Result<impl Responder, Problem> {
    let query = Query::read(&request, &["limit", "cursor"])?;
    let limit = query.limit()?;
    let after = query.cursor(LIST)?.map(|(at, id)| (at, UserId(id)));
    let mut page = app.accounts.page(after, limit + 1).await?;
    let next = cut(&mut page, limit, LIST, |user| (user.created_at, user.id.0));
    let users = page.into_iter().map(UserView::from).collect();
    Ok(query::page(&request, next.as_deref(), &UsersView { users, next_cursor: next.clone() }))
}

/// What shall be different: one of them at least.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountChange, examples(json!({ "role": "employee" })))]
pub struct Change {
    /// What the account may do.
    role: Option<Role>,
    /// Whether it may do anything at all.
    active: Option<bool>,
}

/// `PATCH /users/{id}`: what an account may do from now on.
#[utoipa::path(patch, path = "/users/{id}", operation_id = "change_account", tag = "accounts",
    security(("token" = ["admin"])),
    params(("id" = UserId, Path, description = "Which account.")),
    request_body = Change,
    responses(
        (status = 200, description = "The account as it now is.", body = UserView),
        ForToken, Missing, LastAdmin, ForBody, Unavailable))]
pub async fn change(
    app: Data<App>,
    Admin(caller): Admin,
    id: Path<String>,
    Json(change): Json<Change>,
) -> Result<impl Responder, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("account"))?;
    if change.role.is_none() && change.active.is_none() {
        return Err(Invalid::new("role", "must be given, or active").into());
    }
    Ok(HttpResponse::Ok()
        .json(UserView::from(app.accounts.set_access(caller.id, id, change.role, change.active).await?)))
}
