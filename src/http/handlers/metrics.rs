//! `GET /metrics`.

use crate::http::head_only::is_head_only;
use crate::{services::sampled_metrics::SampledMetrics, telemetry::metrics};
use actix_web::{
    HttpRequest, HttpResponse, body,
    http::header,
    web::{self, Bytes, Data, ServiceConfig},
};

pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/metrics").route(web::get().to(show)));
}

/// Shows the metrics of this process
#[utoipa::path(get, path = "/metrics", operation_id = "get_metrics", tag = "system",
    responses((status = 200, description = "Metrics in Prometheus' text format. Not at this address if `ADMIN_ADDR` is set.", body = String, content_type = "text/plain")))]
pub async fn show(monitor: Data<SampledMetrics>, request: HttpRequest) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, metrics::MEDIA_TYPE));
    if is_head_only(&request) {
        return response.body(body::None::new());
    }
    response.body(Bytes::from_owner(monitor.metrics().await))
}
