//! Liveness and readiness of this process.

use crate::http::{examples, middleware::access_log::LoggedCause, server::thread_watchdog::ThreadWatchdog};
use crate::services::health::{DatabaseState, Health, HealthReport, Missing};
use actix_web::{
    HttpResponse, Responder,
    web::{self, Data, ServiceConfig},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The answer of a process that lives.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({ "status": "ok" })))]
struct Alive {
    /// Always `ok`.
    #[schema(examples("ok"))]
    status: &'static str,
}

/// The readiness of the process for requests.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({
    "missing": [examples::missing_part()], "parts": { "broker": "down", "database": "up", "http": "up" }, "status": "ready",
})))]
struct Readiness {
    /// The parts that are down, and the consequences. Not there while all are up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<MissingView>)]
    missing: Vec<MissingView>,
    /// The state of each part.
    parts: Parts,
    /// `ready`, `unavailable`, or `stopping` in a process that ends.
    #[schema(pattern = "^(ready|unavailable|stopping)$")]
    status: &'static str,
}

/// A part that is down.
#[derive(Serialize, ToSchema)]
#[schema(as = MissingPart, examples(examples::missing_part))]
struct MissingView {
    /// The work that this process can't do without it, for people.
    fails: &'static [&'static str],
    /// `database`, `broker`, or `http`, the threads that answer requests.
    #[schema(pattern = "^(database|broker|http)$")]
    part: &'static str,
    /// The reason, for people, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    reason: Option<String>,
    /// The work that this process does without it, for people.
    #[schema(examples("taking orders, which are stored directly (201)"))]
    works: &'static [&'static str],
}

impl From<Missing> for MissingView {
    fn from(Missing { part, reason, works, fails }: Missing) -> Self {
        Self { fails, part, reason: reason.map(|reason| reason.to_string()), works }
    }
}

/// The state of each part.
#[derive(Serialize, ToSchema)]
struct Parts {
    /// `up` or `down`; not there where there is no broker.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, pattern = "^(up|down)$")]
    broker: Option<&'static str>,
    /// `up`, `down`, or `read-only` while it answers and keeps no changes.
    #[schema(pattern = "^(up|down|read-only)$")]
    database: &'static str,
    /// `up`, or `stalled` while one of the threads that answer requests does not run.
    #[schema(pattern = "^(up|stalled)$")]
    http: &'static str,
}

/// The part `http` while a thread that answers requests does not run.
const STALLED_THREADS: MissingView = MissingView {
    fails: &["requests on connections whose thread does not run; the process ends when it stays so"],
    part: "http",
    reason: None,
    works: &["requests on other connections"],
};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/healthz").route(web::get().to(alive)))
        .service(web::resource("/readyz").route(web::get().to(ready)));
}

/// Shows that the process lives
#[utoipa::path(get, path = "/healthz", operation_id = "get_health", tag = "system",
    responses((status = 200, description = "The process lives.", body = Alive)))]
pub async fn alive() -> impl Responder {
    web::Json(Alive { status: "ok" })
}

/// Shows if the process is ready for requests
#[utoipa::path(get, path = "/readyz", operation_id = "get_readiness", tag = "system",
    responses(
        (status = 200, description = "Orders can be accepted.", body = Readiness),
        (status = 503, description = "No orders can be accepted, a thread that answers requests does not run, or the process ends.",
            body = Readiness)))]
pub async fn ready(health: Data<Health>, watchdog: Data<ThreadWatchdog>) -> HttpResponse {
    let HealthReport { ready, stopping, database, broker, missing } = health.report().await;
    let mut missing: Vec<_> = missing.into_iter().map(MissingView::from).collect();
    let stalled = watchdog.stalled() > 0;
    if stalled {
        missing.push(STALLED_THREADS);
    }
    let ready = ready && !stalled;
    let word = |up| if up { "up" } else { "down" };
    let database = match database {
        DatabaseState::Up => "up",
        DatabaseState::ReadOnly => "read-only",
        DatabaseState::Down => "down",
    };
    let http = if stalled { "stalled" } else { "up" };
    let parts = Parts { broker: broker.map(word), database, http };
    let status = match (ready, stopping) {
        (_, true) => "stopping",
        (true, _) => "ready",
        (false, _) => "unavailable",
    };
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    let down: Vec<_> = missing.iter().map(|missing| missing.part).collect();
    let cause = if down.is_empty() { status.to_owned() } else { format!("down: {}", down.join(", ")) };
    response.extensions_mut().insert(LoggedCause(cause));
    response.insert_header(("Cache-Control", "no-store")).json(Readiness { missing, parts, status })
}
