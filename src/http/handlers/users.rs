use super::prelude::*;
use crate::http::{
    extract::{
        json::Json,
        preconditions::{self, RequiredPrecondition},
        query::{Flag, PageLimit, Query, page_response, query_parameters},
    },
    responses::{UserView, UsersView},
};
use crate::{
    domain::{FieldError, account::Role, ids::UserId, json::Optional, text::Search},
    services::accounts::UserFilter,
};

const LIST: char = 'u';

query_parameters! {
    paged
    /// Filters of the list of accounts; all of them must match.
    UserParams {
        /// Only accounts whose name or e-mail contains this, in any case. A page may then have fewer entries than `limit`, or none,
        /// and still lead to another.
        #[param(inline)]
        q: Search,
        /// Only accounts with this role.
        role: Role,
        /// Only accounts that are active, or that are not.
        #[param(value_type = Option<bool>)]
        active: Flag,
    }
}

/// Lists all accounts, oldest first
#[utoipa::path(get, path = "/users", operation_id = "list_accounts", tag = "accounts",
    security(("token" = ["admin"])),
    params(UserParams),
    responses((status = 200, description = "A page of accounts.", body = UsersView, headers(("Link" = String))), ForToken, ForQuery, Unavailable))]
pub async fn list(app: Data<AppState>, _: Admin, request: HttpRequest, query: Query<UserParams>) -> Answer {
    let UserParams { ref q, role, active, limit, ref cursor } = query.params;
    let page = query.page(LIST, limit, cursor.as_deref())?;
    let filter = UserFilter { role, active: active.map(|active| active.0) };
    let after = page.after.map(|(at, id)| (at, UserId(id)));
    let (mut users, searched) = match q {
        None => (app.accounts.page(filter, after, page.limit()).await?, None),
        Some(search) => {
            let max = usize::try_from(page.limit()).unwrap_or_default();
            app.accounts.search(search, filter, after, max).await?
        }
    };
    let searched = searched.map(|(at, id)| (at, id.0));
    let next_cursor = page.cut(&mut users, |user| (user.created_at, user.id.0), searched);
    let users = users.into_iter().map(UserView::from).collect();
    page_response(&request, next_cursor.clone(), UsersView { users, next_cursor }).await
}

/// Shows the account with this id
#[utoipa::path(get, path = "/users/{id}", operation_id = "get_account", tag = "accounts",
    security(("token" = ["admin"])),
    params(("id" = UserId, Path, description = "The id of the account."), IfNoneMatchHeader),
    responses(
        (status = 200, description = "The account.", body = UserView, headers(("ETag" = String))),
        (status = 304, description = "The client has it already.", headers(("ETag" = String))),
        ForToken, Missing, Unavailable))]
pub async fn show(app: Data<AppState>, _: Admin, request: HttpRequest, id: Path<String>) -> Answer {
    let user = app.accounts.find(path_id(&id, "account")?).await?;
    Ok(preconditions::show(&request, user.entity_version(), &UserView::from(user)))
}

/// Changes of an account: at least one of them.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(as = AccountChange, examples(json!({ "role": "employee" }), json!({ "active": false })))]
pub struct AccountChange {
    /// The role, which decides what the account may do.
    #[deserr(default)]
    #[schema(value_type = Option<Role>)]
    role: Optional<Role>,
    /// False to switch the account off.
    #[deserr(default)]
    #[schema(value_type = Option<bool>)]
    active: Optional<bool>,
}

/// Changes an account's role, or switches it on or off
#[utoipa::path(patch, path = "/users/{id}", operation_id = "change_account", tag = "accounts",
    security(("token" = ["admin"])),
    params(("id" = UserId, Path, description = "The id of the account."), RequiredIfMatchHeader),
    request_body = AccountChange,
    responses(
        (status = 200, description = "The account after the change.", body = UserView, headers(("ETag" = String))),
        ForToken, Missing, LastAdmin, Changed, MustHaveMatch, ForBody, Unavailable))]
pub async fn change(
    app: Data<AppState>,
    Admin(caller): Admin,
    RequiredPrecondition(condition): RequiredPrecondition,
    id: Path<String>,
    Json(change): Json<AccountChange>,
) -> Answer {
    let id = path_id(&id, "account")?;
    let AccountChange { role: Optional(role), active: Optional(active) } = change;
    if role.is_none() && active.is_none() {
        return Err(FieldError::new("role", "must be given, or active").into());
    }
    let user = app.accounts.set_access(caller.id, id, role, active, condition).await?;
    Ok(preconditions::changed(user.entity_version(), &UserView::from(user)))
}
