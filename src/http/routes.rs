//! Every route but those about health, and the API's document (OpenAPI 3.1), which lists the same handlers.

use super::{
    handlers::{
        accounts, audit, dead_letters, docs, health, metrics, orders, problem_types, recipes, sessions,
        static_documents::documents, users,
    },
    openapi::{ABOUT, EachMove, Public, Shared, Summaries, complete_text},
    problem::Problem,
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, ServiceConfig},
};
use std::sync::LazyLock;
use utoipa::OpenApi;

/// Every route but those about health.
pub fn routes(config: &mut ServiceConfig) {
    // Routes are tried in this order: the busiest comes first.
    config
        .service(
            web::resource("/orders").route(web::get().to(orders::list)).route(web::post().to(orders::place)),
        )
        .service(web::resource("/openapi.json").route(web::get().to(show)))
        .service(web::resource("/docs").route(web::get().to(docs::page)))
        .service(web::resource("/docs/{name}").route(web::get().to(docs::part)))
        .service(web::resource("/problems").route(web::get().to(problem_types::list)))
        .service(web::resource("/problems/{name}").route(web::get().to(problem_types::show)))
        .service(web::resource("/register").route(web::post().to(accounts::register)))
        .service(web::resource("/login").route(web::post().to(sessions::login)))
        .service(web::resource("/token/refresh").route(web::post().to(sessions::refresh)))
        .service(web::resource("/logout").route(web::post().to(sessions::logout)))
        .service(web::resource("/me").route(web::get().to(accounts::me)))
        .service(web::resource("/me/password").route(web::put().to(accounts::change_password)))
        .service(web::resource("/users").route(web::get().to(users::list)))
        .service(
            web::resource("/users/{id}")
                .route(web::get().to(users::show))
                .route(web::patch().to(users::change)),
        )
        .service(
            web::resource("/recipes").route(web::get().to(recipes::list)).route(web::post().to(recipes::add)),
        )
        .service(
            web::resource("/recipes/{id}")
                .route(web::get().to(recipes::show))
                .route(web::put().to(recipes::replace))
                .route(web::delete().to(recipes::archive)),
        )
        .service(web::resource("/recipes/{id}/availability").route(web::put().to(recipes::set_available)))
        .service(web::resource("/audit").route(web::get().to(audit::list)))
        .service(web::resource("/dead-letters").route(web::get().to(dead_letters::list)))
        .service(
            web::resource("/dead-letters/{id}")
                .route(web::get().to(dead_letters::show))
                .route(web::delete().to(dead_letters::discard)),
        )
        .service(web::resource("/dead-letters/{id}/replay").route(web::post().to(dead_letters::replay)))
        .service(web::resource("/orders/next").route(web::post().to(orders::next)))
        .service(web::resource("/orders/cancel").route(web::post().to(orders::cancel_all)))
        .service(web::resource("/orders/{id}").route(web::get().to(orders::show)))
        .service(web::resource("/orders/{id}/history").route(web::get().to(orders::history)))
        .service(web::resource("/orders/{id}/{move}").route(web::post().to(orders::act)));
}

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

/// Its text, made once.
static TEXT: LazyLock<String> = LazyLock::new(|| complete_text(&Document::openapi()));

#[derive(OpenApi)]
#[openapi(
    info(title = "ShakerQueue", description = ABOUT, license(name = "MIT", identifier = "MIT")),
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
        problem_types::list,
        problem_types::show,
        docs::page,
        docs::part,
        show,
    ),
    components(schemas(Problem)),
    modifiers(&EachMove, &Shared, &Summaries, &Public),
)]
struct Document;
