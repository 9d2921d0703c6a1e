use super::{menu_page::MenuPage, prelude::*};
use crate::domain::{
    ids::RecipeId,
    recipe::{Build, Recipe},
    recipe_draft::{RecipeDraft, RecipeReplacement},
    text::Search,
};
use crate::http::{
    changes_cursor,
    extract::{
        idempotency::{self, StoredResponse},
        json::Json,
        preconditions::{self, OptionalPrecondition, RequiredPrecondition},
        query::{Flag, Query, query_parameters},
    },
    offload::offload,
    responses::{MenuView, RecipeView},
};
use actix_web::http::{StatusCode, header::ContentType};

query_parameters! {
    /// Filters of the menu; all of them must match.
    MenuParams {
        /// Only drinks whose name, or an ingredient's, contains this, in any case.
        #[param(inline)]
        q: Search,
        /// Only drinks that are available, or that are sold out.
        #[param(value_type = Option<bool>)]
        available: Flag,
        /// Only drinks with this build.
        build: Build,
    }
}

/// Lists the menu, by name
#[utoipa::path(get, path = "/recipes", operation_id = "list_recipes", tag = "menu",
    params(MenuParams, IfNoneMatchHeader),
    responses(
        (status = 200, description = "The menu.", body = MenuView,
            headers(("Changes-Cursor" = String), ("ETag" = String))),
        (status = 304, description = "The client has it already.",
            headers(("Changes-Cursor" = String), ("ETag" = String))),
        ForQuery))]
pub async fn list(
    app: Data<AppState>,
    page: Data<MenuPage>,
    request: HttpRequest,
    query: Query<MenuParams>,
) -> Answer {
    let MenuParams { q: search, available, build } = query.params;
    let changes_cursor = app.feed.cursor();
    let menu = app.menu.current();
    if search.is_none() && available.is_none() && build.is_none() {
        let edition = page.of(menu).await?;
        let response = preconditions::show_public(&request, &edition.tag, || edition.asset.answer(&request));
        return Ok(changes_cursor::add(response, &changes_cursor));
    }
    // The result may be nearly the whole menu: too long a work for a thread that answers requests.
    let part = offload(move || {
        let search = search.as_ref().map(Search::pattern);
        let wanted = menu.search(search.as_ref()).filter(|recipe| {
            available.is_none_or(|Flag(available)| recipe.available == available)
                && build.is_none_or(|build| recipe.spec.build == build)
        });
        let recipes = wanted.map(|recipe| RecipeView::from(recipe.as_ref())).collect();
        serde_json::to_vec(&MenuView { recipes, next_cursor: None })
            .map(|json| (preconditions::content_tag(&json), json))
    });
    let (tag, json) = part.await?.map_err(|error| Problem::internal(&error))?;
    let answer = || HttpResponse::Ok().content_type(ContentType::json()).body(json);
    Ok(changes_cursor::add(preconditions::show_public(&request, &tag, answer), &changes_cursor))
}

/// Shows a recipe, by id or by name
#[utoipa::path(get, path = "/recipes/{id}", operation_id = "get_recipe", tag = "menu",
    params(("id" = String, Path, description = "The drink, by id or by name; by a similar name where only one drink has one."), IfNoneMatchHeader),
    responses(
        (status = 200, description = "The recipe.", body = RecipeView, headers(("ETag" = String))),
        (status = 304, description = "The client has it already.", headers(("ETag" = String))),
        Missing))]
pub async fn show(app: Data<AppState>, request: HttpRequest, id: Path<String>) -> Answer {
    let menu = app.menu.current();
    match menu.find(&id) {
        Some(recipe) => {
            Ok(preconditions::show(&request, recipe.entity_version(), &RecipeView::from(recipe.as_ref())))
        }
        None => Err(Problem::no_such_recipe(&id, menu.suggestions(&id))),
    }
}

/// Adds a recipe to the menu
#[utoipa::path(post, path = "/recipes", operation_id = "add_recipe", tag = "menu",
    security(("token" = ["employee"])),
    params(KeyHeader),
    request_body = RecipeDraft,
    responses(
        (status = 201, description = "The recipe.", body = RecipeView,
            headers(("Location" = String), ("ETag" = String), ("Idempotency-Replayed" = String))),
        ForToken, RecipeExists, ForBody, KeyReused, Unavailable))]
pub async fn add(
    app: Data<AppState>,
    Staff(caller): Staff,
    request: HttpRequest,
    Json(draft): Json<RecipeDraft>,
) -> Answer {
    let spec = draft.into_new().map_err(Problem::of_fields)?;
    let key = idempotency::once(&request, caller, &spec, |recipe| added(recipe).text())?;
    idempotency::answer(&app.menu.add(caller.id, spec, key).await?, added)
}

fn added(recipe: &Recipe) -> StoredResponse {
    let reply = StoredResponse::new(StatusCode::CREATED, recipe.entity_version(), &RecipeView::from(recipe));
    reply.at(format!("/recipes/{}", recipe.id))
}

/// Replaces the contents of a recipe
#[utoipa::path(put, path = "/recipes/{id}", operation_id = "replace_recipe", tag = "menu",
    security(("token" = ["employee"])),
    params(("id" = String, Path, description = "The drink, by id or by name."), RequiredIfMatchHeader),
    request_body = RecipeReplacement,
    responses(
        (status = 200, description = "The recipe after the change.", body = RecipeView, headers(("ETag" = String))),
        ForToken, Missing, RecipeExists, Changed, MustHaveMatch, ForBody, Unavailable))]
pub async fn replace(
    app: Data<AppState>,
    Staff(caller): Staff,
    RequiredPrecondition(condition): RequiredPrecondition,
    id: Path<String>,
    Json(draft): Json<RecipeDraft>,
) -> Answer {
    Ok(changed(&app.menu.replace(caller.id, on_menu(&app, &id)?, draft, condition).await?))
}

fn changed(recipe: &Recipe) -> HttpResponse {
    preconditions::changed(recipe.entity_version(), &RecipeView::from(recipe))
}

/// The availability of a drink.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(examples(json!({ "available": false })))]
pub struct Availability {
    /// False when the drink is sold out.
    available: bool,
}

/// Marks a drink as sold out, or as available again
#[utoipa::path(put, path = "/recipes/{id}/availability", operation_id = "set_availability", tag = "menu",
    security(("token" = ["employee"])),
    params(("id" = String, Path, description = "The drink, by id or by name."), IfMatchHeader),
    request_body = Availability,
    responses(
        (status = 200, description = "The recipe after the change.", body = RecipeView, headers(("ETag" = String))),
        ForToken, Missing, Changed, ForBody, Unavailable))]
pub async fn set_available(
    app: Data<AppState>,
    Staff(caller): Staff,
    OptionalPrecondition(condition): OptionalPrecondition,
    id: Path<String>,
    Json(Availability { available }): Json<Availability>,
) -> Answer {
    Ok(changed(&app.menu.set_available(caller.id, on_menu(&app, &id)?, available, condition).await?))
}

/// Takes a recipe off the menu
///
/// Orders of it keep it.
#[utoipa::path(delete, path = "/recipes/{id}", operation_id = "archive_recipe", tag = "menu",
    security(("token" = ["employee"])),
    params(("id" = String, Path, description = "The drink, by id or by name."), IfMatchHeader),
    responses(
        (status = 204, description = "The recipe is off the menu."),
        ForToken, Missing, Changed, Unavailable))]
pub async fn archive(
    app: Data<AppState>,
    Staff(caller): Staff,
    OptionalPrecondition(condition): OptionalPrecondition,
    id: Path<String>,
) -> Answer {
    app.menu.archive(caller.id, on_menu(&app, &id)?, condition).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Finds the id of the recipe to change, given by id or by exact name. An id is not looked up: another process may just have added
/// it. Similar names don't count: a repeated `DELETE` must not find the drink whose name is only like it.
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
