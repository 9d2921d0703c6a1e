//! Accounts, for admins.

use crate::http::{
    app_state::AppState,
    extract::{
        auth::Admin,
        json::Json,
        preconditions::{self, RequiredPrecondition},
        query::{self, Query},
    },
    openapi::{
        Accounts, Changed, ForBody, ForQuery, ForToken, LastAdmin, Missing, MustHaveMatch, MustIfMatch, Page,
        Tag, Unavailable,
    },
    problem::Problem,
    responses::{UserView, UsersView},
};
use crate::{
    domain::{FieldError, account::Role, ids::UserId, json::Optional},
    services::accounts::UserFilter,
};
use actix_web::{
    HttpRequest, HttpResponse, Responder,
    web::{Data, Path},
};
use deserr::Deserr;
use serde::Deserialize;
use utoipa::ToSchema;

/// The list of accounts, in cursors.
const LIST: char = 'u';

/// `GET /users`: accounts, oldest first.
#[utoipa::path(get, path = "/users", operation_id = "list_accounts", tag = "accounts",
    security(("token" = ["admin"])),
    params(Accounts, Page),
    responses((status = 200, description = "A page of them.", body = UsersView, headers(("Link" = String))), ForToken, ForQuery, Unavailable))]
pub async fn list(app: Data<AppState>, _: Admin, request: HttpRequest) -> Result<impl Responder, Problem> {
    let query = Query::read(&request, &["q", "role", "active", "limit", "cursor"])?;
    let limit = query.limit()?;
    let filter = UserFilter { role: query.parsed("role")?, active: query.flag("active")? };
    let after = query.cursor(LIST)?.map(|(at, id)| (at, UserId(id)));
    let (mut page, searched) = match query.search()? {
        None => (app.accounts.page(filter, after, limit + 1).await?, None),
        Some(search) => {
            let most = usize::try_from(limit).unwrap_or_default() + 1;
            app.accounts.search(&search, filter, after, most).await?
        }
    };
    let searched = searched.map(|(at, id)| (at, id.0));
    let next = query.cut(&mut page, limit, LIST, |user| (user.created_at, user.id.0), searched);
    let users = page.into_iter().map(UserView::from).collect();
    query::page(&request, next.as_deref(), UsersView { users, next_cursor: next.clone() }).await
}

/// `GET /users/{id}`: an account.
#[utoipa::path(get, path = "/users/{id}", operation_id = "get_account", tag = "accounts",
    security(("token" = ["admin"])),
    params(("id" = UserId, Path, description = "Which account."), Tag),
    responses(
        (status = 200, description = "The account.", body = UserView, headers(("ETag" = String))),
        (status = 304, description = "The client has it already.", headers(("ETag" = String))),
        ForToken, Missing, Unavailable))]
pub async fn show(
    app: Data<AppState>,
    _: Admin,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let user = app.accounts.find(user_id(&id)?).await?;
    Ok(preconditions::show(&request, user.entity_version(), &UserView::from(user)))
}

/// What is no id names no account.
fn user_id(text: &str) -> Result<UserId, Problem> {
    text.parse().map_err(|_| Problem::not_found("account"))
}

/// What shall be different: one of them at least.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(as = AccountChange, examples(json!({ "role": "employee" }), json!({ "active": false })))]
pub struct AccountChange {
    /// What the account may do.
    #[deserr(default)]
    #[schema(value_type = Option<Role>)]
    role: Optional<Role>,
    /// Whether it may do anything at all.
    #[deserr(default)]
    #[schema(value_type = Option<bool>)]
    active: Optional<bool>,
}

/// `PATCH /users/{id}`: what an account may do from now on.
#[utoipa::path(patch, path = "/users/{id}", operation_id = "change_account", tag = "accounts",
    security(("token" = ["admin"])),
    params(("id" = UserId, Path, description = "Which account."), MustIfMatch),
    request_body = AccountChange,
    responses(
        (status = 200, description = "The account as it now is.", body = UserView, headers(("ETag" = String))),
        ForToken, Missing, LastAdmin, Changed, MustHaveMatch, ForBody, Unavailable))]
pub async fn change(
    app: Data<AppState>,
    Admin(caller): Admin,
    RequiredPrecondition(condition): RequiredPrecondition,
    id: Path<String>,
    Json(change): Json<AccountChange>,
) -> Result<impl Responder, Problem> {
    let id = user_id(&id)?;
    let AccountChange { role: Optional(role), active: Optional(active) } = change;
    if role.is_none() && active.is_none() {
        return Err(FieldError::new("role", "must be given, or active").into());
    }
    let user = app.accounts.set_access(caller.id, id, role, active, condition).await?;
    let mut response = HttpResponse::Ok();
    preconditions::tag(&mut response, user.entity_version());
    Ok(response.json(UserView::from(user)))
}
