//! The HTTP API. Handlers read what they are given, ask a use case, and say what came of it.

mod accounts;
mod audit;
mod body;
mod caller;
mod cors;
mod dead_letters;
mod docs;
mod exchange;
mod health;
mod kind;
mod openapi;
mod orders;
mod problem;
mod problem_pages;
mod query;
mod recipes;
mod request_id;
mod users;
mod views;

use crate::{
    accounts::Accounts, audit::Trail, bar::Bar, config::Origin, dead_letters::DeadLetters, health::Health,
    intake::Intake, menu::Menu,
};
use actix_web::{
    App as ActixApp, HttpServer,
    dev::Server,
    middleware::{Compress, from_fn},
    web::{self, Data, ServiceConfig},
};
use exchange::exchange;
pub use openapi::document;
use problem::Problem;
use std::{io, net::TcpListener, time::Duration};

/// How long a client may take to send the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(75);

/// For those who ask for the health of a process, and nothing else.
const HEALTH_CONNECTIONS: usize = 256;

/// What handlers work with.
pub struct App {
    /// Who is who.
    pub accounts: Accounts,
    /// Takes orders.
    pub intake: Intake,
    /// Works them.
    pub bar: Bar,
    /// What there is to order.
    pub menu: Menu,
    /// What could not be stored.
    pub dead_letters: DeadLetters,
    /// Who changed what.
    pub trail: Trail,
    /// Which parts are up.
    pub health: Health,
}

/// How much is done at a time.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Threads that answer.
    pub threads: usize,
    /// Connections that are open.
    pub connections: usize,
}

/// The API on this listener, for scripts of these origins too. It runs until its handle stops it; `drain` bounds how long requests under way may then take.
pub fn serve(
    app: App,
    listener: TcpListener,
    capacity: Capacity,
    origins: Vec<Origin>,
    drain: Duration,
) -> io::Result<Server> {
    let (health, app) = (Data::new(app.health.clone()), Data::new(app));
    start(listener, capacity, origins, drain, move |config| {
        config.app_data(app.clone()).app_data(health.clone()).configure(health::routes).configure(routes);
    })
}

/// Only the health of a process that has no API.
pub fn serve_health(health: Health, listener: TcpListener, drain: Duration) -> io::Result<Server> {
    let health = Data::new(health);
    start(
        listener,
        Capacity { threads: 1, connections: HEALTH_CONNECTIONS },
        Vec::new(),
        drain,
        move |config| {
            config.app_data(health.clone()).configure(health::routes);
        },
    )
}

fn start(
    listener: TcpListener,
    Capacity { threads, connections }: Capacity,
    origins: Vec<Origin>,
    drain: Duration,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> io::Result<Server> {
    let server = HttpServer::new(move || {
        ActixApp::new()
            .wrap(Compress::default())
            .wrap(from_fn(exchange))
            .wrap(cors::layer(&origins))
            .configure(configure.clone())
            .default_service(web::to(|| async { Err::<&str, _>(Problem::not_found("resource")) }))
    })
    // Signals belong to the process: it has more to stop than this server.
    .disable_signals()
    .client_request_timeout(HEAD_WITHIN)
    .keep_alive(IDLE)
    .workers(threads)
    .max_connections(connections.div_ceil(threads))
    .shutdown_timeout(drain.as_secs().max(1));
    Ok(server.listen(listener)?.run())
}

/// Every route but those about health.
fn routes(config: &mut ServiceConfig) {
    // Routes are tried in this order: the busiest comes first.
    config
        .service(
            web::resource("/orders").route(web::get().to(orders::list)).route(web::post().to(orders::place)),
        )
        .service(web::resource("/openapi.json").route(web::get().to(openapi::show)))
        .service(web::resource("/docs").route(web::get().to(docs::page)))
        .service(web::resource("/docs/{name}").route(web::get().to(docs::part)))
        .service(web::resource("/problems").route(web::get().to(problem_pages::list)))
        .service(web::resource("/problems/{name}").route(web::get().to(problem_pages::show)))
        .service(web::resource("/register").route(web::post().to(accounts::register)))
        .service(web::resource("/login").route(web::post().to(accounts::login)))
        .service(web::resource("/me").route(web::get().to(accounts::me)))
        .service(web::resource("/me/password").route(web::put().to(accounts::change_password)))
        .service(web::resource("/users").route(web::get().to(users::list)))
        .service(web::resource("/users/{id}").route(web::patch().to(users::change)))
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
        .service(web::resource("/orders/{id}").route(web::get().to(orders::show)))
        .service(web::resource("/orders/{id}/history").route(web::get().to(orders::history)))
        .service(web::resource("/orders/{id}/{move}").route(web::post().to(orders::act)));
}
