//! The API's document (OpenAPI 3.1): written beside the handlers and types that it is about, put together here.

mod absent;
mod answers;
mod bodies;
mod examples;
mod finish;
mod links;
mod moves;
mod parameters;
mod problems;

pub use parameters::{
    Accounts, Decided, DocsPart, Drinks, Filter, IfMatch, Key, MustIfMatch, Page, ProblemName, Tag, Wait,
    Which,
};
pub use problems::{
    AccountInactive, Changed, EmailTaken, ForBody, ForQuery, ForToken, IllegalMove, KeyReused, LastAdmin,
    Missing, MissingOrder, MustHaveMatch, NotPermitted, RecipeExists, Replayed, SessionEnded, SoldOut,
    TooManyFailures, TooManyOpen, Unavailable, Unstorable, WrongPassword,
};

use self::{
    finish::{Public, Shared, Summaries},
    moves::EachMove,
};
use super::{
    accounts, audit, dead_letters, docs, documents::documents, health, metrics, orders, problem::Problem,
    problem_pages, recipes, sessions, users,
};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;
use std::sync::LazyLock;
use utoipa::OpenApi;

/// Its text, made once.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    bodies::complete(&mut document);
    absent::complete(&mut document);
    answers::complete(&mut document);
    links::complete(&mut document);
    let mut text = serde_json::to_string_pretty(&finish::InOrder::of(&document)).unwrap_or_default();
    text.push('\n');
    text
});

/// The document as text.
pub fn document() -> &'static str {
    &TEXT
}

/// `GET /openapi.json`: this document.
#[utoipa::path(get, path = "/openapi.json", operation_id = "get_document", tag = "system",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)))]
pub async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Ok(documents().await?.openapi.answer(&request))
}

/// The fields of an object.
fn fields(value: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    value.and_then(Value::as_object_mut).into_iter().flatten()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "ShakerQueue", description = finish::ABOUT, license(name = "MIT", identifier = "MIT")),
    servers((url = "/", description = "Where this document comes from.")),
    tags(
        (name = "accounts", description = "Registering, signing in, and who may do what."),
        (name = "menu", description = "What there is to order."),
        (name = "orders", description = "Placing orders, following and working them."),
        (name = "dead-letters", description = "Accepted orders that could not be stored."),
        (name = "audit", description = "Who changed what."),
        (name = "system", description = "How the service is, and what it offers."),
    ),
    paths(
        accounts::register,
        sessions::login,
        sessions::refresh,
        sessions::logout,
        accounts::me,
        accounts::change_password,
        users::list,
        users::show,
        users::change,
        recipes::list,
        recipes::add,
        recipes::show,
        recipes::replace,
        recipes::archive,
        recipes::set_available,
        orders::list,
        orders::place,
        orders::next,
        orders::cancel_all,
        orders::show,
        orders::history,
        orders::act,
        dead_letters::list,
        dead_letters::show,
        dead_letters::replay,
        dead_letters::discard,
        audit::list,
        health::alive,
        health::ready,
        metrics::show,
        problem_pages::list,
        problem_pages::show,
        docs::page,
        docs::part,
        show,
    ),
    components(schemas(Problem)),
    modifiers(&EachMove, &Shared, &Summaries, &Public),
)]
struct Document;
