//! An actix-web handler that parses the JSON of an order and answers.

use crate::{
    client::{Load, Requests},
    harness::Result,
    stage::Stage,
};
use actix_web::{App, HttpResponse, HttpServer, web};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, time::Duration};

#[derive(Deserialize)]
struct Order {
    recipe: String,
    table: String,
}

#[derive(Serialize)]
struct Answer {
    recipe: String,
    table: String,
}

async fn place(web::Json(Order { recipe, table }): web::Json<Order>) -> HttpResponse {
    HttpResponse::Accepted().json(Answer { recipe, table })
}

/// Serves until it is killed, with as many threads as `serve` has.
pub async fn serve(at: SocketAddr) -> std::io::Result<()> {
    HttpServer::new(|| App::new().route("/orders", web::post().to(place))).bind(at)?.run().await
}

/// Measures the cost of one order.
pub async fn cost(stage: &Stage, orders: Requests, during: Duration) -> Result<f64> {
    let (_process, address) = stage.bare_handler().await?;
    let answers = Load::closed(address, orders, crate::CONNECTIONS, during).send().await?;
    Ok(1.0 / answers.only(&[202])?.per_second(202))
}
