//! Middleware: one concern a file, and one list of them in order.

pub mod access_log;
mod connection_state;
mod content_encoding;
mod content_negotiation;
mod cors;
mod framework_errors;
mod header_limits;
mod panics;
pub mod rate_limit;
mod request_id;
pub mod response_memory;
mod security_headers;

use super::{head_only, problem::Problem};
use crate::config::Origin;
use actix_web::{
    App, Error,
    dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse},
    http::header::HeaderMap,
    middleware::{Condition, from_fn},
};
use futures_util::{
    FutureExt, TryFutureExt,
    future::{Either, Ready, ready},
};
use std::cell::Cell;

/// The outcome of a middleware. Only a panic is an error: there is no request left for which a response could be made.
type Answer = Result<ServiceResponse, Error>;

/// Returns an app with every middleware. A request passes this list from the bottom to the top, its response from the top to the
/// bottom.
pub fn app(
    origins: &[Origin],
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
    + use<>,
> {
    let has_cors = !origins.is_empty();
    App::new()
        .wrap(from_fn(content_encoding::encode))
        .wrap(from_fn(response_memory::reserve))
        .wrap(from_fn(panics::catch))
        .wrap_fn(check_head)
        .wrap(from_fn(rate_limit::apply))
        .wrap(Condition::new(has_cors, cors::layer(origins)))
        .wrap_fn(|request, inner| inner.call(request).map_ok(ServiceResponse::map_into_boxed_body))
        .wrap(Condition::new(has_cors, from_fn(cors::limit_preflights)))
        .wrap_fn(|request, inner| {
            let security_headers = security_headers::for_response(&request);
            inner.call(request).map(|answer| {
                let answer = answer.map(ServiceResponse::map_into_boxed_body).map(framework_errors::explain);
                security_headers.add(answer)
            })
        })
        .wrap(from_fn(access_log::record))
        .wrap(from_fn(request_id::assign))
        .wrap(from_fn(connection_state::track))
}

type HeadStep = fn(&mut ServiceRequest) -> Result<(), Problem>;

/// Steps that only look at a request's head, in order.
const HEAD_STEPS: [HeadStep; 3] = [header_limits::check, content_negotiation::check, head_only::to_get];

/// Passes a request on, or answers it with a problem.
fn check_head<S>(mut request: ServiceRequest, inner: &S) -> Either<S::Future, Ready<Answer>>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    match HEAD_STEPS.iter().try_for_each(|step| step(&mut request)) {
        Ok(()) => Either::Left(inner.call(request)),
        Err(problem) => Either::Right(ready(Ok(request.error_response(problem)))),
    }
}

/// Changes the headers of a response, also of one that an error is going to become.
fn change_headers(answer: Answer, change: impl FnOnce(&mut HeaderMap) + 'static) -> Answer {
    match answer {
        Ok(mut response) => {
            change(response.headers_mut());
            Ok(response)
        }
        Err(mut error) => {
            let change = Cell::new(Some(change));
            error.add_response_mapper(move |mut response| {
                if let Some(change) = change.take() {
                    change(response.headers_mut());
                }
                response
            });
            Err(error)
        }
    }
}

#[cfg(test)]
mod fairness_tests;
