//! What holds for every request and answer, whichever route: its id, HEAD and OPTIONS, the headers that keep browsers careful,
//! and a problem where the framework or a panic would say something else.

pub mod access_log;
pub mod cors;
pub mod header_limits;
pub mod rate_limit;

use super::{
    content_encoding::HeadOnly,
    problem::Problem,
    request_id::{self, RequestId},
    server::connection_timeouts::Progress,
};
use crate::services::health::Health;
use access_log::ObservedRequest;
use actix_web::{
    Error, HttpMessage, HttpResponse, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        ConnectionType, Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use cors::is_preflight;
use futures_util::FutureExt;
use rate_limit::{Allowance, Limits};
use std::{panic::AssertUnwindSafe, rc::Rc};
use tokio::task::yield_now;

/// Where things are that are no JSON, and may be asked for as what they are.
const PAGES: [&str; 3] = ["/docs", "/metrics", "/problems"];

/// For answers that say nothing else of their own. An answer is for who asked, is what it says it is, and loads nothing.
const CAREFUL: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];
/// For a year from each answer over TLS on, browsers come over TLS only (RFC 6797).
const STRICTLY_ENCRYPTED: HeaderValue = HeaderValue::from_static("max-age=31536000");
const REQUEST_ID: HeaderName = HeaderName::from_static(request_id::HEADER);

/// Around CORS: what that answers by itself, to browsers that ask beforehand and to origins that may not, is an answer like all others.
pub async fn around_cors(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    take_turn(request.conn_data::<Rc<Progress>>().map(AsRef::as_ref)).await;
    let id = RequestId::of(request.request());
    // The answer to a preflight repeats names that it asks for. Other requests are looked at by the layer within.
    let oversize = is_preflight(&request).then(|| header_limits::oversize(request.request())).flatten();
    let response = match oversize {
        Some(problem) => request.into_response(problem.error_response()),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    if response.headers().contains_key(REQUEST_ID) {
        return Ok(response);
    }
    let observed = ObservedRequest::begin(response.request(), &id);
    let mut response = id.clone().scope(observed.place(), async { explained(response, false) }).await;
    finish(&mut response.response_mut().head_mut().headers, &id);
    observed.end(response.status(), None);
    Ok(response)
}

/// Lets other connections have their turn before a request that was there when the one before it ended. The framework answers
/// a whole row of those at once, which can be long and hold up everybody else on its thread.
async fn take_turn(connection: Option<&Progress>) {
    if connection.is_some_and(Progress::has_waiting_request) {
        yield_now().await;
    }
}

/// The layer around all routes.
pub async fn exchange(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let connection = request.conn_data::<Rc<Progress>>().cloned();
    take_turn(connection.as_deref()).await;
    let id = RequestId::of(request.request());
    let observed = ObservedRequest::begin(request.request(), &id);
    let _busy = connection.as_ref().map(Progress::begin);
    let encrypted = connection.as_ref().is_some_and(|connection| connection.encrypted);
    let stopping = request.app_data::<Data<Health>>().is_some_and(|health| health.stopping.is_cancelled());
    let asks_for_methods = request.method() == Method::OPTIONS;
    if request.method() == Method::HEAD {
        // The connection remembers that it was asked for no body.
        request.head_mut().method = Method::GET;
        request.extensions_mut().insert(HeadOnly);
    }
    let allowance = request.app_data::<Data<Limits>>().and_then(|limits| limits.admit(request.request()));
    let answered = id.clone().scope(observed.place(), async {
        let refused = allowance.as_ref().and_then(Allowance::refusal);
        if let Some(problem) = refused.or_else(|| header_limits::oversize(request.request())) {
            return Ok(Err(problem));
        }
        if !accepts_json(&request) && !PAGES.iter().any(|page| request.path().starts_with(page)) {
            return Ok(Err(Problem::not_acceptable()));
        }
        match AssertUnwindSafe(next.call(request)).catch_unwind().await {
            Ok(Ok(response)) => {
                let said = response
                    .response()
                    .extensions()
                    .get::<LoggedCause>()
                    .map(|LoggedCause(cause)| cause.clone());
                let cause = said.or_else(|| response.response().error().and_then(cause));
                Ok(Ok((explained(response.map_into_boxed_body(), asks_for_methods), cause)))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(Err(Problem::internal(&"a panic"))),
        }
    });
    let answered = match answered.await {
        Ok(answered) => answered,
        Err(error) => {
            observed.end(error.as_response_error().status_code(), cause(&error).as_deref());
            return Err(error);
        }
    };
    let finish = |headers: &mut HeaderMap| {
        if encrypted {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICTLY_ENCRYPTED);
        }
        if let Some(allowance) = allowance {
            allowance.tell(headers);
        }
        finish(headers, &id);
    };
    match answered {
        Ok((mut response, cause)) => {
            observed.end(response.status(), cause.as_deref());
            let head = response.response_mut().head_mut();
            // Connections that would be kept are closed once the process stops: their clients go elsewhere before it ends.
            if stopping {
                head.set_connection_type(ConnectionType::Close);
            }
            finish(&mut head.headers);
            Ok(response)
        }
        // There is no request any more to answer, so this takes the way of errors.
        Err(problem) => {
            let mut response = problem.error_response();
            observed.end(response.status(), problem.cause());
            finish(response.headers_mut());
            Err(InternalError::from_response(problem, response).into())
        }
    }
}

/// Why a handler that answers with 5xx does so, where it says that by itself: for the log.
pub struct LoggedCause(pub String);

/// Why a handler answered with an error, where that is for the log.
fn cause(error: &Error) -> Option<String> {
    match error.as_error::<Problem>() {
        Some(problem) => problem.cause().map(str::to_owned),
        None if error.as_response_error().status_code().is_server_error() => Some(error.to_string()),
        None => None,
    }
}

fn finish(headers: &mut HeaderMap, id: &RequestId) {
    for (name, value) in CAREFUL {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    // Says to layers within that they must not compress it, and nothing to clients.
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "identity") {
        headers.remove(header::CONTENT_ENCODING);
    }
    headers.insert(REQUEST_ID, id.value());
}

/// Whether the client would read JSON. Who does not say takes anything.
fn accepts_json(request: &ServiceRequest) -> bool {
    let mut ranges =
        request.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok()).peekable();
    ranges.peek().is_none() || ranges.flat_map(|value| value.split(',')).any(is_json_range)
}

fn is_json_range(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let json =
        ["", "*/*", "application/*", "application/json"].iter().any(|known| kind.eq_ignore_ascii_case(known));
    // The weight 0 rules it out (RFC 9110).
    json && !parts.any(|part| {
        let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
        weight.is_some_and(|weight| weight.parse() == Ok(0.0))
    })
}

/// Gives what the framework answers by itself the form that all else has, and answers OPTIONS.
fn explained(response: ServiceResponse<BoxBody>, asks_for_methods: bool) -> ServiceResponse<BoxBody> {
    let status = response.status();
    // What handlers answer is JSON of one kind or another; the framework answers text or nothing.
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_ours = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/"));
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).and_then(all_methods);
    let mut explained = if asks_for_methods && status == StatusCode::METHOD_NOT_ALLOWED {
        HttpResponse::NoContent().finish()
    } else {
        Problem::of_status(status).error_response()
    };
    if let Some(allow) = allow {
        explained.headers_mut().insert(header::ALLOW, allow);
    }
    response.into_response(explained)
}

/// With those that every resource has, and does not know of.
fn all_methods(allow: &HeaderValue) -> Option<HeaderValue> {
    let routes = allow.to_str().ok()?.replace("GET", "GET, HEAD");
    HeaderValue::try_from(format!("{routes}, OPTIONS")).ok()
}

#[cfg(test)]
#[path = "fairness_tests.rs"]
mod turns;

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{App, middleware::from_fn, test, web};

    #[actix_web::test]
    #[allow(clippy::panic, reason = "that is what it is about")]
    async fn a_panic_is_a_problem_like_any_other() {
        let panics = web::to(async || -> HttpResponse { panic!("out of ice") });
        let app = test::init_service(App::new().wrap(from_fn(exchange)).default_service(panics)).await;
        let request =
            test::TestRequest::get().uri("/").insert_header(("X-Request-Id", "round-7")).to_request();
        let error = test::try_call_service(&app, request).await.err();
        let answer = error.map_or_else(|| HttpResponse::Ok().finish(), |error| error.error_response());
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let header =
            |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        assert_eq!(header("content-type").as_deref(), Some("application/problem+json"));
        assert_eq!(header("x-request-id").as_deref(), Some("round-7"));
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
        let body = actix_web::body::to_bytes(answer.into_body()).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("/problems/internal") && !text.contains("ice"), "{text}");
    }
}
