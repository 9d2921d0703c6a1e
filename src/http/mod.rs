//! The HTTP API. Handlers read what they are given, ask a use case, and say what came of it.

mod app_state;
mod asset;
mod content_encoding;
mod etag;
mod extract;
mod handlers;
mod middleware;
mod offload;
mod openapi;
mod problem;
mod request_id;
mod responses;
mod routes;
mod server;

use crate::{
    config::{Origin, RateLimits, TrustedProxies},
    services::{health::Health, sampled_metrics::SampledMetrics},
};
pub use actix_web::dev::ServerHandle;
use actix_web::{
    App as ActixApp,
    dev::Server,
    middleware::{Condition, from_fn},
    web::{self, Data, ServiceConfig},
};
pub use app_state::AppState;
use content_encoding::encode;
use handlers::menu_page::MenuPage;
use middleware::rate_limit::Limits;
use middleware::{around_cors, exchange};
use problem::Problem;
pub use routes::document;
use routes::routes;
pub use server::Capacity;
use server::connections_per_address::AddressLimits;
use server::response_memory::{ResponseMemoryBudget, bounded};
pub use server::thread_watchdog::ThreadWatchdog;
pub use server::tls::Tls;
use std::{io, net::TcpListener, sync::Arc, time::Duration};

/// For those who watch over a process, and nobody else.
pub const ADMIN_CONNECTIONS: usize = 256;

/// Who may come, and how.
pub struct Clients {
    /// Whose scripts may use the API too.
    pub origins: Vec<Origin>,
    /// Who is believed about where a request came from.
    pub proxies: TrustedProxies,
    /// How many requests are answered.
    pub limits: RateLimits,
    /// What connections are encrypted with.
    pub tls: Option<Tls>,
}

/// The API on this listener. It runs until its handle stops it; `drain` bounds how long requests under way may then take.
pub fn serve(
    app: AppState,
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
    let answers = Data::from(ResponseMemoryBudget::new(capacity.answer_bytes));
    let configure = move |config: &mut ServiceConfig| {
        config.app_data(app.clone()).app_data(health.clone()).app_data(answers.clone());
        config.app_data(proxies.clone()).app_data(limits.clone()).app_data(menu_page.clone());
        if let Some(monitor) = monitor.clone() {
            config.app_data(monitor).configure(handlers::metrics::routes);
        }
        #[cfg(debug_assertions)]
        if crate::util::fault_injection::has_blocking_route() {
            config.configure(handlers::blocking_route::routes);
        }
        config.configure(handlers::health::routes).configure(routes);
    };
    start(listener, capacity, origins, (tls, addresses), drain, (watchdog, "api"), configure)
}

/// The server for those who watch over a process, and nobody else, on this listener. It runs until its handle stops it.
pub fn serve_admin(
    health: Health,
    monitor: SampledMetrics,
    listener: TcpListener,
    drain: Duration,
    watchdog: &ThreadWatchdog,
) -> io::Result<Server> {
    let (health, monitor) = (Data::new(health), Data::new(monitor));
    // Answers are not bounded here: nobody reaches it but those who watch.
    let capacity = Capacity { threads: 1, connections: ADMIN_CONNECTIONS, answer_bytes: usize::MAX };
    let configure = move |config: &mut ServiceConfig| {
        config.app_data(health.clone()).app_data(monitor.clone());
        config.configure(handlers::health::routes).configure(handlers::metrics::routes);
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
            .wrap(middleware::cors::layer(&origins))
            .wrap(Condition::new(!origins.is_empty(), from_fn(around_cors)))
            .app_data(watched.clone())
            .configure(configure.clone())
            .default_service(web::to(|| async { Err::<&str, _>(Problem::not_found("resource")) }))
    };
    server::start(app, listener, capacity, tls, addresses, drain)
}
