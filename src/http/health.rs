//! Whether this process lives, and whether it is ready.

use crate::health::{Health, Report};
use actix_web::{
    HttpResponse, Responder,
    web::{self, Data, ServiceConfig},
};
use serde_json::{Map, json};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/healthz").route(web::get().to(alive)))
        .service(web::resource("/readyz").route(web::get().to(ready)));
}

async fn alive() -> impl Responder {
    web::Json(json!({ "status": "ok" }))
}

async fn ready(health: Data<Health>) -> HttpResponse {
    let Report { ready, stopping, database, broker } = health.report().await;
    let word = |up| if up { "up" } else { "down" };
    let mut parts = Map::new();
    parts.insert("database".into(), word(database).into());
    if let Some(broker) = broker {
        parts.insert("broker".into(), word(broker).into());
    }
    let status = match (ready, stopping) {
        (_, true) => "stopping",
        (true, _) => "ready",
        (false, _) => "unavailable",
    };
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header(("Cache-Control", "no-store")).json(json!({ "status": status, "parts": parts }))
}
