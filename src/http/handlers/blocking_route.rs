//! A route that blocks its thread, for tests of the watchdog: in debug builds that are asked for it, and in no document.

use actix_web::{
    HttpResponse,
    web::{self, Path, ServiceConfig},
};
use std::{thread::sleep, time::Duration};

/// The longest that a thread can be blocked.
const MAX_BLOCK: Duration = Duration::from_secs(120);

pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/fault/block/{seconds}").route(web::post().to(block)));
}

async fn block(seconds: Path<u64>) -> HttpResponse {
    sleep(Duration::from_secs(seconds.into_inner()).min(MAX_BLOCK));
    HttpResponse::NoContent().finish()
}
