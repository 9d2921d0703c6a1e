//! The HTTP API. Handlers read what they are given, ask a use case, and say what came of it.

mod accounts;
mod address;
mod answers;
mod asset;
mod audit;
#[cfg(debug_assertions)]
mod blocking_route;
mod body;
mod caller;
mod conditions;
mod connection;
mod cors;
mod dead_letters;
mod docs;
mod documents;
mod encoding;
mod exchange;
mod head;
mod health;
mod kind;
mod limits;
mod menu_page;
mod metrics;
mod observe;
mod offload;
mod once;
mod openapi;
mod orders;
mod per_address;
mod prefer;
mod problem;
mod problem_pages;
mod query;
mod recipes;
mod request_id;
mod server;
mod sessions;
mod standing;
mod thread_watchdog;
mod tls;
mod upgrade;
mod users;
mod views;

use crate::{
    accounts::Accounts,
    audit::Trail,
    bar::Bar,
    config::{Origin, Proxies, RateLimits},
    dead_letters::DeadLetters,
    health::Health,
    intake::Intake,
    menu::Menu,
    monitor::Monitor,
};
pub use actix_web::dev::ServerHandle;
use actix_web::{
    App as ActixApp,
    dev::Server,
    middleware::{Condition, from_fn},
    web::{self, Data, ServiceConfig},
};
use answers::{AnswerBudget, bounded};
use encoding::encode;
use exchange::{around_cors, exchange};
use limits::Limits;
use menu_page::MenuPage;
pub use openapi::document;
use per_address::AddressLimits;
use problem::Problem;
use std::{io, net::TcpListener, sync::Arc, time::Duration};
pub use thread_watchdog::ThreadWatchdog;
pub use tls::Tls;

/// For those who watch over a process, and nobody else.
pub const ADMIN_CONNECTIONS: usize = 256;

/// What handlers work with.
pub struct App {
    /// Who is who.
    pub accounts: Accounts,
    /// Takes orders.
    pub intake: Arc<Intake>,
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
    /// What those are told who watch over it. None: they ask elsewhere.
    pub monitor: Option<Monitor>,
}

/// How much is done at a time.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Threads that answer.
    pub threads: usize,
    /// Connections that are open.
    pub connections: usize,
    /// Bytes of answers under way.
    pub answer_bytes: usize,
}

/// Who may come, and how.
pub struct Clients {
    /// Whose scripts may use the API too.
    pub origins: Vec<Origin>,
    /// Who is believed about where a request came from.
    pub proxies: Proxies,
    /// How many requests are answered.
    pub limits: RateLimits,
    /// What connections are encrypted with.
    pub tls: Option<Tls>,
}

/// The API on this listener. It runs until its handle stops it; `drain` bounds how long requests under way may then take.
pub fn serve(
    app: App,
    listener: TcpListener,
    capacity: Capacity,
    Clients { origins, proxies, limits, tls }: Clients,
    drain: Duration,
    watchdog: &ThreadWatchdog,
) -> io::Result<Server> {
    let (health, monitor) = (Data::new(app.health.clone()), app.monitor.clone().map(Data::new));
    let app = Data::new(app);
    // Load tests come from one address.
    let addresses = (!limits.policies().is_empty())
        .then(|| Arc::new(AddressLimits::new(capacity.connections, proxies.clone())));
    let (proxies, limits) = (Data::new(proxies), Data::new(Limits::new(&limits)));
    let menu_page = Data::new(MenuPage::default());
    let answers = Data::from(AnswerBudget::new(capacity.answer_bytes));
    let configure = move |config: &mut ServiceConfig| {
        config.app_data(app.clone()).app_data(health.clone()).app_data(answers.clone());
        config.app_data(proxies.clone()).app_data(limits.clone()).app_data(menu_page.clone());
        if let Some(monitor) = monitor.clone() {
            config.app_data(monitor).configure(metrics::routes);
        }
        #[cfg(debug_assertions)]
        if crate::fault_injection::has_blocking_route() {
            config.configure(blocking_route::routes);
        }
        config.configure(health::routes).configure(routes);
    };
    start(listener, capacity, origins, (tls, addresses), drain, (watchdog, "api"), configure)
}

/// The server for those who watch over a process, and nobody else, on this listener. It runs until its handle stops it.
pub fn serve_admin(
    health: Health,
    monitor: Monitor,
    listener: TcpListener,
    drain: Duration,
    watchdog: &ThreadWatchdog,
) -> io::Result<Server> {
    let (health, monitor) = (Data::new(health), Data::new(monitor));
    // Answers are not bounded here: nobody reaches it but those who watch.
    let capacity = Capacity { threads: 1, connections: ADMIN_CONNECTIONS, answer_bytes: usize::MAX };
    let configure = move |config: &mut ServiceConfig| {
        config.app_data(health.clone()).app_data(monitor.clone());
        config.configure(health::routes).configure(metrics::routes);
    };
    start(listener, capacity, Vec::new(), (None, None), drain, (watchdog, "admin"), configure)
}

fn start(
    listener: TcpListener,
    capacity: Capacity,
    origins: Vec<Origin>,
    (tls, addresses): (Option<Tls>, Option<Arc<AddressLimits>>),
    drain: Duration,
    (watchdog, name): (&ThreadWatchdog, &'static str),
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> io::Result<Server> {
    let watchdog = watchdog.clone();
    let watched = Data::new(watchdog.clone());
    // Called once on each thread that answers.
    let app = move || {
        watchdog.watch_this_thread(name);
        ActixApp::new()
            .wrap(from_fn(encode))
            .wrap(from_fn(bounded))
            .wrap(from_fn(exchange))
            .wrap(cors::layer(&origins))
            .wrap(Condition::new(!origins.is_empty(), from_fn(around_cors)))
            .app_data(watched.clone())
            .configure(configure.clone())
            .default_service(web::to(|| async { Err::<&str, _>(Problem::not_found("resource")) }))
    };
    server::start(app, listener, capacity, tls, addresses, drain)
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
