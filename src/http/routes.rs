//! The routes, except those about health, and the API's document (OpenAPI 3.1), which lists the same handlers.

use super::{
    handlers::{
        accounts, audit, dead_letters, health, metrics, order_list, orders, recipes, sessions,
        static_documents::{self, StaticDocuments},
        users,
    },
    openapi::{ABOUT, EachAction, Public, Shared, complete_text},
    problem::Problem,
};
use actix_web::web::{self, Data, ServiceConfig};
use std::sync::LazyLock;
use utoipa::OpenApi;

pub fn routes(config: &mut ServiceConfig) {
    // Routes are tried in this order: the busiest comes first.
    config
        .app_data(DOCUMENTS.clone())
        .service(
            web::resource("/orders")
                .route(web::get().to(order_list::list))
                .route(web::post().to(orders::place)),
        )
        .service(web::resource("/openapi.json").route(web::get().to(static_documents::openapi)))
        .service(web::resource("/docs").route(web::get().to(static_documents::docs)))
        .service(web::resource("/docs/{name}").route(web::get().to(static_documents::docs_part)))
        .service(web::resource("/problems").route(web::get().to(static_documents::problems)))
        .service(web::resource("/problems/{name}").route(web::get().to(static_documents::problem)))
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

/// Returns the text of the API's document.
pub fn document() -> &'static str {
    &TEXT
}

static TEXT: LazyLock<String> = LazyLock::new(|| complete_text(&Document::openapi()));
static DOCUMENTS: LazyLock<Data<StaticDocuments>> =
    LazyLock::new(|| Data::new(StaticDocuments::new(document)));

#[derive(OpenApi)]
#[openapi(
    info(title = "ShakerQueue", description = ABOUT, license(name = "MIT", identifier = "MIT")),
    servers((url = "/", description = "The server of this document.")),
    tags(
        (name = "accounts", description = "Registering, signing in, and roles."),
        (name = "menu", description = "The drinks that guests can order."),
        (name = "orders", description = "Placing, following and working orders."),
        (name = "dead-letters", description = "Accepted orders that could not be stored."),
        (name = "audit", description = "Records of changes: who changed what."),
        (name = "system", description = "Health, metrics and documentation of the service."),
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
        order_list::list,
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
        static_documents::problems,
        static_documents::problem,
        static_documents::docs,
        static_documents::docs_part,
        static_documents::openapi,
    ),
    components(schemas(Problem)),
    modifiers(&EachAction, &Shared, &Public),
)]
struct Document;
