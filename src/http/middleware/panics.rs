//! Turns a panic of a handler into a problem.

use super::Answer;
use crate::http::problem::Problem;
use actix_web::{body::BoxBody, dev::ServiceRequest, middleware::Next};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;

/// Answers 500 where a handler panics.
pub async fn catch(request: ServiceRequest, next: Next<BoxBody>) -> Answer {
    let answer = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    answer.unwrap_or_else(|_| Err(Problem::internal(&"a panic").into()))
}

#[cfg(test)]
mod tests {
    use crate::http::middleware;
    use actix_web::{HttpResponse, body, http::StatusCode, test, web};

    #[actix_web::test]
    #[allow(clippy::panic, reason = "that is what it is about")]
    async fn a_panic_is_a_problem_like_any_other() {
        let panics = web::to(async || -> HttpResponse { panic!("out of limes") });
        let app = test::init_service(middleware::app(&[]).default_service(panics)).await;
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
        let body = body::to_bytes(answer.into_body()).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("/problems/internal") && !text.contains("limes"), "{text}");
    }
}
