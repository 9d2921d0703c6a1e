//! Bounds the memory of responses that clients have not read yet.
//!
//! A connection holds one response, of which the framework's buffer has two slices at most. What all responses share (the parts of
//! the API's page) takes no more than that. A stream of changes holds memory only while some of it is unread.

mod endless_body;
mod sliced_body;

use super::Answer;
use crate::{
    http::{
        problem::Problem,
        server::{
            connection_progress::ConnectionProgress,
            response_budget::{ResponseMemoryBudget, SLICE_BYTES},
        },
    },
    telemetry::metrics,
};
use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web::Data,
};
use endless_body::EndlessBody;
use sliced_body::SlicedBody;
use std::rc::Rc;

/// Paths that load balancers and supervisors must get a response from, or they would end a process that is well. These responses
/// are small.
pub const UNBOUNDED_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// Reserves the bytes of the response before anything is done, and holds them until it is written.
pub async fn reserve(request: ServiceRequest, next: Next<BoxBody>) -> Answer {
    let connection = request.conn_data::<Rc<ConnectionProgress>>().cloned();
    let budget = request.app_data::<Data<ResponseMemoryBudget>>().cloned();
    // As routes are found by it: not as the client wrote it.
    let is_unbounded = UNBOUNDED_PATHS.contains(&request.request().match_info().as_str());
    let (Some(connection), Some(budget), false) = (connection, budget, is_unbounded) else {
        return next.call(request).await;
    };
    connection.expect_body(request.headers());
    let budget = budget.into_inner();
    let Some(mut reservation) = budget.reserve(connection.address_bytes.clone()) else {
        return Ok(refused(request.into_parts().0));
    };
    let changes_nothing = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    let (request, response) = next.call(request).await?.into_parts();
    let (response, body) = response.into_parts();
    // No body is not an empty one: its length is not told.
    if matches!(body.size(), BodySize::None) {
        return Ok(ServiceResponse::new(request, response.set_body(body)));
    }
    let body = match body.try_into_bytes() {
        Ok(bytes) => {
            // Shared bytes are there anyway.
            let own = if bytes.is_unique() { bytes.len() } else { bytes.len().min(2 * SLICE_BYTES) };
            // The outcome of a change is told, however many bytes that takes.
            if !reservation.resize(own) && changes_nothing {
                return Ok(refused(request));
            }
            if bytes.len() <= SLICE_BYTES {
                connection.hold_until_written(reservation);
                BoxBody::new(bytes)
            } else {
                BoxBody::new(SlicedBody::new(BoxBody::new(bytes), connection, reservation))
            }
        }
        Err(body) if matches!(body.size(), BodySize::None | BodySize::Sized(0)) => body,
        Err(body) if matches!(body.size(), BodySize::Stream) => {
            BoxBody::new(EndlessBody::new(body, connection, budget, reservation))
        }
        Err(body) => BoxBody::new(SlicedBody::new(body, connection, reservation)),
    };
    Ok(ServiceResponse::new(request, response.set_body(body)))
}

fn refused(request: HttpRequest) -> ServiceResponse {
    metrics::http().answers_refused.inc();
    let problem = Problem::unavailable(&"responses under way take all the memory that they may");
    ServiceResponse::new(request, HttpResponse::from_error(problem))
}
