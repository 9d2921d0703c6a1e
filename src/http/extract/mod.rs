//! Extractors: what handlers read from requests.

/// Extracts a type by a function that reads the request's head.
macro_rules! from_head {
    ($name:ty, $read:expr) => {
        impl actix_web::FromRequest for $name {
            type Error = $crate::http::problem::Problem;
            type Future = std::future::Ready<Result<Self, Self::Error>>;

            fn from_request(
                request: &actix_web::HttpRequest,
                _: &mut actix_web::dev::Payload,
            ) -> Self::Future {
                let read: fn(&actix_web::HttpRequest) -> Result<Self, Self::Error> = $read;
                std::future::ready(read(request))
            }
        }
    };
}
pub(crate) use from_head;

pub mod auth;
pub mod client_ip;
pub mod idempotency;
pub mod json;
pub mod json_errors;
pub mod preconditions;
pub mod prefer;
pub mod query;
