//! The HTTP API: handlers read a request, call a use case, and turn its outcome into a response.

mod app_state;
mod asset;
mod changes_cursor;
mod compression;
mod examples;
mod extract;
mod handlers;
mod head_only;
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
    dev::Server,
    web::{self, Data, ServiceConfig},
};
pub use app_state::AppState;
use handlers::menu_page::MenuPage;
use middleware::rate_limit::Limits;
use problem::Problem;
pub use routes::document;
use routes::routes;
pub use server::Capacity;
use server::connection_slots::ConnectionLimits;
use server::connections_per_address::AddressLimits;
use server::response_budget::ResponseMemoryBudget;
pub use server::thread_watchdog::ThreadWatchdog;
pub use server::tls::Tls;
use std::{io, net::TcpListener, sync::Arc, time::Duration};

/// Connections of the server for operators.
pub const ADMIN_CONNECTIONS: usize = 256;

/// The clients that are served, and their limits.
pub struct Clients {
    /// The origins whose scripts may use the API.
    pub origins: Vec<Origin>,
    pub proxies: TrustedProxies,
    pub limits: RateLimits,
    pub tls: Option<Tls>,
}

/// Serves the API on this listener, until the server's handle stops it. Requests under way then have until `drain`.
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
    // Without rate limits an address may have all connections: load tests come from one.
    let addresses = (!limits.policies().is_empty())
        .then(|| Arc::new(AddressLimits::new(capacity.connections, capacity.streams, proxies.clone())));
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

/// Serves health checks and metrics for operators on this listener, until the server's handle stops it.
pub fn serve_admin(
    health: Health,
    monitor: SampledMetrics,
    listener: TcpListener,
    drain: Duration,
    watchdog: &ThreadWatchdog,
) -> io::Result<Server> {
    let (health, monitor) = (Data::new(health), Data::new(monitor));
    // Responses are not bounded here: only operators reach it.
    let capacity =
        Capacity { threads: 1, connections: ADMIN_CONNECTIONS, streams: 0, answer_bytes: usize::MAX };
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
    // Called once on each worker thread.
    let app = move || {
        watchdog.watch_this_thread(name);
        middleware::app(&origins)
            .app_data(watched.clone())
            .configure(configure.clone())
            .default_service(web::to(|| async { Err::<&str, _>(Problem::not_found("resource")) }))
    };
    let limits = ConnectionLimits::new(capacity.connections, addresses);
    server::start(app, listener, capacity, tls, limits, drain)
}
