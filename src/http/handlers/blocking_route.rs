//! A route that blocks its thread, for tests of the watchdog. It exists in debug builds only, on demand, and is in no document.

use actix_web::{
    HttpResponse,
    web::{self, Path, ServiceConfig},
};
use std::{thread::sleep, time::Duration};

const MAX_BLOCK: Duration = Duration::from_secs(120);

pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/fault/block/{seconds}").route(web::post().to(block)));
}

async fn block(seconds: Path<u64>) -> HttpResponse {
    sleep(Duration::from_secs(seconds.into_inner()).min(MAX_BLOCK));
    HttpResponse::NoContent().finish()
}
