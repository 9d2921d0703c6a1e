//! The routes, except those about health, and the API's document (OpenAPI 3.1), which lists the same handlers.

use super::{
    handlers::{
        accounts, audit, boards, dead_letters, health, instances, metrics, order_list, orders, recipes,
        sessions,
        static_documents::{self, StaticDocuments},
        stream::{self, events},
        users,
    },
    openapi::{ABOUT, OrderCancellation, OrderFailure, complete_text},
    problem::Problem,
};
use crate::domain::ids::BoardId;
use actix_web::web::{self, Data, ServiceConfig};
use std::sync::LazyLock;
use utoipa::OpenApi;

/// Registers the routes, and describes them and those that are registered `elsewhere` in the API's document.
macro_rules! routes {
    (
        $($path:literal: $($method:ident $module:ident::$handler:ident),+;)+
        elsewhere: $($other:path),+;
    ) => {
        pub fn routes(config: &mut ServiceConfig) {
            config.app_data(DOCUMENTS.clone());
            $(config.service(web::resource($path)$(.route(web::$method().to($module::$handler)))+);)+
        }

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
            paths($($($module::$handler,)+)+ $($other),+),
            components(schemas(
                Problem, OrderCancellation, OrderFailure, BoardId,
                events::Hello, events::MenuData, events::Unseen, events::Lag, events::Reset, events::Bye,
            )),
        )]
        struct Document;
    };
}

// Routes are tried in this order: the busiest comes first, and fixed paths before those with an id.
routes! {
    "/orders": get order_list::list, post orders::place;
    "/stream": get stream::stream;
    "/boards/{id}/seen": post boards::seen;
    "/instances": get instances::list;
    "/openapi.json": get static_documents::openapi;
    "/docs": get static_documents::docs;
    "/docs/{name}": get static_documents::docs_part;
    "/problems": get static_documents::problems;
    "/problems/{name}": get static_documents::problem;
    "/register": post accounts::register;
    "/login": post sessions::login;
    "/token/refresh": post sessions::refresh;
    "/logout": post sessions::logout;
    "/me": get accounts::me;
    "/me/password": put accounts::change_password;
    "/users": get users::list;
    "/users/{id}": get users::show, patch users::change;
    "/recipes": get recipes::list, post recipes::add;
    "/recipes/{id}": get recipes::show, put recipes::replace, delete recipes::archive;
    "/recipes/{id}/availability": put recipes::set_available;
    "/audit": get audit::list;
    "/dead-letters": get dead_letters::list;
    "/dead-letters/{id}": get dead_letters::show, delete dead_letters::discard;
    "/dead-letters/{id}/replay": post dead_letters::replay;
    "/orders/next": post orders::next;
    "/orders/cancel": post orders::cancel_all;
    "/orders/{id}": get orders::show;
    "/orders/{id}/history": get orders::history;
    "/orders/{id}/{move}": post orders::act;
    elsewhere: health::alive, health::ready, metrics::show;
}

/// Returns the text of the API's document.
pub fn document() -> &'static str {
    &TEXT
}

static TEXT: LazyLock<String> = LazyLock::new(|| complete_text(&Document::openapi()));
static DOCUMENTS: LazyLock<Data<StaticDocuments>> =
    LazyLock::new(|| Data::new(StaticDocuments::new(document)));
