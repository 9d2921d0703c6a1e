//! The menu.

use super::menu_page::MenuPage;
use crate::domain::{
    ids::RecipeId,
    recipe::{Build, Recipe},
    recipe_draft::{RecipeDraft, RecipeReplacement},
    text::Search,
};
use crate::http::{
    app_state::AppState,
    extract::{
        auth::Staff,
        idempotency::{self, StoredResponse},
        json::Json,
        preconditions::{self, OptionalPrecondition, RequiredPrecondition},
        query::Query,
    },
    offload::offload,
    openapi::{
        Changed, Drinks, ForBody, ForQuery, ForToken, IfMatch, Key, KeyReused, Missing, MustHaveMatch,
        MustIfMatch, RecipeExists, Tag, Unavailable,
    },
    problem::Problem,
    responses::{MenuView, RecipeView},
};
use actix_web::{
    HttpRequest, HttpResponse, Responder,
    http::{StatusCode, header::ContentType},
    web::{Data, Path},
};
use deserr::Deserr;
use serde::Deserialize;
use utoipa::ToSchema;

/// `GET /recipes`: the menu, by name.
#[utoipa::path(get, path = "/recipes", operation_id = "list_recipes", tag = "menu",
    params(Drinks, Tag),
    responses(
        (status = 200, description = "The menu.", body = MenuView, headers(("ETag" = String))),
        (status = 304, description = "The client has it already.", headers(("ETag" = String))),
        ForQuery))]
pub async fn list(
    app: Data<AppState>,
    page: Data<MenuPage>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = Query::read(&request, &["q", "available", "build"])?;
    let (search, available) = (query.search()?, query.flag("available")?);
    let build: Option<Build> = query.parsed("build")?;
    let menu = app.menu.current();
    if search.is_none() && available.is_none() && build.is_none() {
        let edition = page.of(menu).await?;
        return Ok(preconditions::show_public(&request, &edition.tag, || edition.asset.answer(&request)));
    }
    // A part of the menu may be nearly all of it.
    let part = offload(move || {
        let search = search.as_ref().map(Search::pattern);
        let wanted = menu.search(search.as_ref()).filter(|recipe| {
            available.is_none_or(|available| recipe.available == available)
                && build.is_none_or(|build| recipe.spec.build == build)
        });
        let recipes = wanted.map(|recipe| RecipeView::from(recipe.as_ref())).collect();
        serde_json::to_vec(&MenuView { recipes, next_cursor: None })
            .map(|json| (preconditions::content_tag(&json), json))
    });
    let (tag, json) = part.await?.map_err(|error| Problem::internal(&error))?;
    let answer = || HttpResponse::Ok().content_type(ContentType::json()).body(json);
    Ok(preconditions::show_public(&request, &tag, answer))
}

/// `GET /recipes/{id}`: one drink, by id or by name.
#[utoipa::path(get, path = "/recipes/{id}", operation_id = "get_recipe", tag = "menu",
    params(("id" = String, Path, description = "Which drink, by id or by name; by a similar name where only one drink has one."), Tag),
    responses(
        (status = 200, description = "The drink.", body = RecipeView, headers(("ETag" = String))),
        (status = 304, description = "The client has it already.", headers(("ETag" = String))),
        Missing))]
pub async fn show(
    app: Data<AppState>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let menu = app.menu.current();
    match menu.find(&id) {
        Some(recipe) => {
            Ok(preconditions::show(&request, recipe.entity_version(), &RecipeView::from(recipe.as_ref())))
        }
        None => Err(Problem::no_such_recipe(&id, menu.suggestions(&id))),
    }
}

/// `POST /recipes`: another drink on the menu.
#[utoipa::path(post, path = "/recipes", operation_id = "add_recipe", tag = "menu",
    security(("token" = ["employee"])),
    params(Key),
    request_body = RecipeDraft,
    responses(
        (status = 201, description = "The drink.", body = RecipeView,
            headers(("Location" = String), ("ETag" = String), ("Idempotency-Replayed" = String))),
        ForToken, RecipeExists, ForBody, KeyReused, Unavailable))]
pub async fn add(
    app: Data<AppState>,
    Staff(caller): Staff,
    request: HttpRequest,
    Json(draft): Json<RecipeDraft>,
) -> Result<HttpResponse, Problem> {
    let spec = draft.into_new().map_err(Problem::of_fields)?;
    let key = idempotency::once(&request, caller, &spec, |recipe| added(recipe).text())?;
    idempotency::answer(&app.menu.add(caller.id, spec, key).await?, added)
}

fn added(recipe: &Recipe) -> StoredResponse {
    let reply = StoredResponse::new(StatusCode::CREATED, recipe.entity_version(), &RecipeView::from(recipe));
    reply.at(format!("/recipes/{}", recipe.id))
}

/// `PUT /recipes/{id}`: a recipe written anew.
#[utoipa::path(put, path = "/recipes/{id}", operation_id = "replace_recipe", tag = "menu",
    security(("token" = ["employee"])),
    params(("id" = String, Path, description = "Which drink, by id or by name."), MustIfMatch),
    request_body = RecipeReplacement,
    responses(
        (status = 200, description = "The drink as it now is.", body = RecipeView, headers(("ETag" = String))),
        ForToken, Missing, RecipeExists, Changed, MustHaveMatch, ForBody, Unavailable))]
pub async fn replace(
    app: Data<AppState>,
    Staff(caller): Staff,
    RequiredPrecondition(condition): RequiredPrecondition,
    id: Path<String>,
    Json(RecipeReplacement(draft)): Json<RecipeReplacement>,
) -> Result<impl Responder, Problem> {
    Ok(changed(&app.menu.replace(caller.id, on_menu(&app, &id)?, draft, condition).await?))
}

fn changed(recipe: &Recipe) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    preconditions::tag(&mut response, recipe.entity_version());
    response.json(RecipeView::from(recipe))
}

/// Whether a drink can be had.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(examples(json!({ "available": false })))]
pub struct Availability {
    /// Whether the drink can be had; false when it is sold out.
    available: bool,
}

/// `PUT /recipes/{id}/availability`: sold out, and back.
#[utoipa::path(put, path = "/recipes/{id}/availability", operation_id = "set_availability", tag = "menu",
    security(("token" = ["employee"])),
    params(("id" = String, Path, description = "Which drink, by id or by name."), IfMatch),
    request_body = Availability,
    responses(
        (status = 200, description = "The drink as it now is.", body = RecipeView, headers(("ETag" = String))),
        ForToken, Missing, Changed, ForBody, Unavailable))]
pub async fn set_available(
    app: Data<AppState>,
    Staff(caller): Staff,
    OptionalPrecondition(condition): OptionalPrecondition,
    id: Path<String>,
    Json(Availability { available }): Json<Availability>,
) -> Result<impl Responder, Problem> {
    Ok(changed(&app.menu.set_available(caller.id, on_menu(&app, &id)?, available, condition).await?))
}

/// `DELETE /recipes/{id}`: off the menu; orders of it keep it.
#[utoipa::path(delete, path = "/recipes/{id}", operation_id = "archive_recipe", tag = "menu",
    security(("token" = ["employee"])),
    params(("id" = String, Path, description = "Which drink, by id or by name."), IfMatch),
    responses(
        (status = 204, description = "It is off the menu."),
        ForToken, Missing, Changed, Unavailable))]
pub async fn archive(
    app: Data<AppState>,
    Staff(caller): Staff,
    OptionalPrecondition(condition): OptionalPrecondition,
    id: Path<String>,
) -> Result<impl Responder, Problem> {
    app.menu.archive(caller.id, on_menu(&app, &id)?, condition).await?;
    Ok(HttpResponse::NoContent())
}

/// The id of a drink that shall be changed, named by id or by name. An id is taken as it is: another process may just have put it
/// there. A name is taken as it is too: a repeated `DELETE` must not find the drink whose name is only like it.
fn on_menu(app: &AppState, id_or_name: &str) -> Result<RecipeId, Problem> {
    if let Ok(id) = id_or_name.parse() {
        return Ok(id);
    }
    let menu = app.menu.current();
    match menu.find_exact(id_or_name) {
        Some(recipe) => Ok(recipe.id),
        None => Err(Problem::no_such_recipe(id_or_name, menu.suggestions(id_or_name))),
    }
}
