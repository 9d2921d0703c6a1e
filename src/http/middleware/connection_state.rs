//! The state of the request's connection: whose turn it is, that it is busy, and that it ends.

use super::Answer;
use crate::{http::server::connection_progress::ConnectionProgress, services::health::Health};
use actix_web::{body::BoxBody, dev::ServiceRequest, http::ConnectionType, middleware::Next, web::Data};
use std::rc::Rc;
use tokio::task::yield_now;

/// Lets other connections have their turn before a pipelined request: the framework answers a whole row of those at once, which
/// can be long and would hold up every other connection of its thread. Marks the connection as busy until the response is made.
pub async fn track(request: ServiceRequest, next: Next<BoxBody>) -> Answer {
    let connection = request.conn_data::<Rc<ConnectionProgress>>().cloned();
    if connection.as_ref().is_some_and(|connection| connection.has_waiting_request()) {
        yield_now().await;
    }
    let _busy = connection.as_ref().map(ConnectionProgress::begin);
    let stopping = request.app_data::<Data<Health>>().is_some_and(|health| health.stopping.is_cancelled());
    let mut response = next.call(request).await?;
    // Clients of connections that would be kept go elsewhere before the process ends.
    if stopping {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}
