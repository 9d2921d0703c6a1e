//! Bounds the memory of answers under way: what is made for clients that do not read it.
//!
//! A connection holds one answer, of which the framework's buffer has two slices at most; what is shared by all answers (the
//! parts of the page about the API) takes no more than that.

mod budget;
mod sliced_body;

use super::connection_timeouts::Progress;
use crate::http::problem::Problem;
use crate::telemetry::metrics;
use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web::Data,
};
pub use budget::{MemoryReservation, ResponseMemoryBudget};
use sliced_body::Sliced;
use std::rc::Rc;

/// Bytes that the framework gets at a time, and the size beyond which it writes what it has before it takes more.
pub const SLICE_BYTES: usize = 32 * 1024;

/// Load balancers and supervisors must get an answer, or they would end a process that is well. These answers are small.
pub const ALWAYS_ANSWERED: [&str; 2] = ["/healthz", "/readyz"];

/// Around the handlers: reserves the bytes of the answer before anything is done, and holds them until it is written.
pub async fn bounded(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let connection = request.conn_data::<Rc<Progress>>().cloned();
    let budget = request.app_data::<Data<ResponseMemoryBudget>>().cloned();
    // As routes are found by it: not as the client wrote it.
    let always = ALWAYS_ANSWERED.contains(&request.request().match_info().as_str());
    let (Some(connection), Some(budget), false) = (connection, budget, always) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    connection.expect_body(request.headers());
    let Some(mut reservation) = budget.into_inner().reserve(connection.address_bytes.clone()) else {
        return Ok(refused(request.into_parts().0));
    };
    let changes_nothing = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    let (request, response) = next.call(request).await?.into_parts();
    let (response, body) = response.into_parts();
    // No body is not an empty one: its length is not told.
    if matches!(body.size(), BodySize::None) {
        return Ok(ServiceResponse::new(request, response.set_body(body.boxed())));
    }
    let body = match body.try_into_bytes() {
        Ok(bytes) => {
            // What is shared is there anyway.
            let own = if bytes.is_unique() { bytes.len() } else { bytes.len().min(2 * SLICE_BYTES) };
            // What was done is told, however much that takes.
            if !reservation.resize(own) && changes_nothing {
                return Ok(refused(request));
            }
            if bytes.len() <= SLICE_BYTES {
                connection.hold_until_written(reservation);
                BoxBody::new(bytes)
            } else {
                BoxBody::new(Sliced::new(BoxBody::new(bytes), connection, reservation))
            }
        }
        Err(body) if matches!(body.size(), BodySize::None | BodySize::Sized(0)) => body.boxed(),
        Err(body) => BoxBody::new(Sliced::new(body.boxed(), connection, reservation)),
    };
    Ok(ServiceResponse::new(request, response.set_body(body)))
}

/// 503, while others don't read their answers.
fn refused(request: HttpRequest) -> ServiceResponse<BoxBody> {
    metrics::http().answers_refused.inc();
    let problem = Problem::unavailable(&"answers under way take all the memory that they may");
    ServiceResponse::new(request, HttpResponse::from_error(problem))
}
