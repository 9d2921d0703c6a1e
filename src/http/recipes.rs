//! The menu.

use super::{
    App,
    body::Json,
    caller::Staff,
    openapi::{ForBody, ForQuery, ForToken, Missing, RecipeExists, Tag, Unavailable},
    problem::Problem,
    query::Query,
    views::{MenuView, RecipeView},
};
use crate::domain::{ids::RecipeId, recipe::Formula};
use actix_web::{
    HttpRequest, HttpResponse, Responder,
    http::header::{self, ETag, EntityTag, Header, IfNoneMatch},
    web::{Data, Path},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use utoipa::ToSchema;

/// `GET /recipes`: the whole menu, by name.
#[utoipa::path(get, path = "/recipes", operation_id = "list_recipes", tag = "menu",
    params(Tag),
    responses(
        (status = 200, description = "The menu.", body = MenuView, headers(("ETag" = String))),
        (status = 304, description = "The client has it already.", headers(("ETag" = String))),
        ForQuery))]
pub async fn list(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::read(&request, &[])?;
    let menu = app.menu.current();
    let recipes = menu.recipes().iter().map(|recipe| RecipeView::from(recipe.as_ref())).collect();
    Ok(tagged(&request, &MenuView { recipes, next_cursor: None }))
}

/// `GET /recipes/{id}`: one drink, by id or by name.
#[utoipa::path(get, path = "/recipes/{id}", operation_id = "get_recipe", tag = "menu",
    params(("id" = String, Path, description = "Which drink, by id or by name."), Tag),
    responses(
        (status = 200, description = "The drink.", body = RecipeView, headers(("ETag" = String))),
        (status = 304, description = "The client has it already.", headers(("ETag" = String))),
        Missing))]
pub async fn show(app: Data<App>, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, Problem> {
    match app.menu.current().find(&id) {
        Some(recipe) => Ok(tagged(&request, &RecipeView::from(recipe.as_ref()))),
        None => Err(Problem::not_found("recipe")),
    }
}

/// `POST /recipes`: another drink on the menu.
#[utoipa::path(post, path = "/recipes", operation_id = "add_recipe", tag = "menu",
    security(("token" = ["employee"])),
    request_body = Formula,
    responses(
        (status = 201, description = "The drink.", body = RecipeView, headers(("Location" = String))),
        ForToken, RecipeExists, ForBody, Unavailable))]
pub async fn add(
    app: Data<App>,
    Staff(caller): Staff,
    Json(formula): Json<Formula>,
) -> Result<impl Responder, Problem> {
    let recipe = app.menu.add(caller.id, formula).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/recipes/{}", recipe.id)))
        .json(RecipeView::from(&recipe)))
}

/// `PUT /recipes/{id}`: a recipe written anew.
#[utoipa::path(put, path = "/recipes/{id}", operation_id = "replace_recipe", tag = "menu",
    security(("token" = ["employee"])),
    params(("id" = String, Path, description = "Which drink, by id or by name.")),
    request_body = Formula,
    responses(
        (status = 200, description = "The drink as it now is.", body = RecipeView),
        ForToken, Missing, RecipeExists, ForBody, Unavailable))]
pub async fn replace(
    app: Data<App>,
    Staff(caller): Staff,
    id: Path<String>,
    Json(formula): Json<Formula>,
) -> Result<impl Responder, Problem> {
    let recipe = app
        .menu
        .replace(caller.id, on_menu(&app, &id)?, formula)
        .await?
        .ok_or_else(|| Problem::not_found("recipe"))?;
    Ok(HttpResponse::Ok().json(RecipeView::from(&recipe)))
}

/// Whether a drink can be had.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "available": false })))]
pub struct Availability {
    /// Whether the drink can be had; false when it is sold out.
    available: bool,
}

/// `PUT /recipes/{id}/availability`: sold out, and back.
#[utoipa::path(put, path = "/recipes/{id}/availability", operation_id = "set_availability", tag = "menu",
    security(("token" = ["employee"])),
    params(("id" = String, Path, description = "Which drink, by id or by name.")),
    request_body = Availability,
    responses(
        (status = 200, description = "The drink as it now is.", body = RecipeView),
        ForToken, Missing, ForBody, Unavailable))]
pub async fn set_available(
    app: Data<App>,
    Staff(caller): Staff,
    id: Path<String>,
    Json(Availability { available }): Json<Availability>,
) -> Result<impl Responder, Problem> {
    let recipe = app
        .menu
        .set_available(caller.id, on_menu(&app, &id)?, available)
        .await?
        .ok_or_else(|| Problem::not_found("recipe"))?;
    Ok(HttpResponse::Ok().json(RecipeView::from(&recipe)))
}

/// `DELETE /recipes/{id}`: off the menu; orders of it keep it.
#[utoipa::path(delete, path = "/recipes/{id}", operation_id = "archive_recipe", tag = "menu",
    security(("token" = ["employee"])),
    params(("id" = String, Path, description = "Which drink, by id or by name.")),
    responses((status = 204, description = "It is off the menu."), ForToken, Missing, Unavailable))]
pub async fn archive(
    app: Data<App>,
    Staff(caller): Staff,
    id: Path<String>,
) -> Result<impl Responder, Problem> {
    if app.menu.archive(caller.id, on_menu(&app, &id)?).await? {
        Ok(HttpResponse::NoContent())
    } else {
        Err(Problem::not_found("recipe"))
    }
}

/// The id of a drink that is named by id or by name. An id is taken as it is: another process may just have put it there.
fn on_menu(app: &App, id_or_name: &str) -> Result<RecipeId, Problem> {
    if let Ok(id) = id_or_name.parse() {
        return Ok(id);
    }
    app.menu.current().find(id_or_name).map(|recipe| recipe.id).ok_or_else(|| Problem::not_found("recipe"))
}

/// A representation with its tag, or 304 where the client has it already.
fn tagged(request: &HttpRequest, view: &impl Serialize) -> HttpResponse {
    let body = serde_json::to_vec(view).unwrap_or_default();
    let mut tag = String::with_capacity(32);
    for byte in Sha256::digest(&body).iter().take(16) {
        let _ = write!(tag, "{byte:02x}");
    }
    // Weak: compression gives the same menu other bytes.
    let tag = EntityTag::new_weak(tag);
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => request.headers().contains_key(header::IF_NONE_MATCH),
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header(ETag(tag)).insert_header((header::CACHE_CONTROL, "no-cache"));
    if known {
        return response.finish();
    }
    response.content_type("application/json").body(body)
}

#[cfg(test)]
#[path = "recipes_fuzz.rs"]
mod fuzz;
