//! Ids of requests, by which a response is found in the log.

use crate::telemetry::{self, Scope};
use actix_web::{HttpRequest, http::header::HeaderValue};
use std::sync::Arc;
use uuid::Uuid;

pub const HEADER: &str = "x-request-id";

/// Bytes of an id that the client chose.
const MAX_BYTES: usize = 64;

/// The id of a request: the client's own (or its proxy's) if that is harmless in a log, else a new one.
#[derive(Debug, Clone)]
pub struct RequestId(Arc<str>);

impl RequestId {
    pub fn of(request: &HttpRequest) -> Self {
        match request.headers().get(HEADER) {
            Some(given) if is_harmless(given.as_bytes()) => Self(given.to_str().unwrap_or_default().into()),
            _ => Self::generate(),
        }
    }

    fn generate() -> Self {
        Self((&*Uuid::now_v7().simple().encode_lower(&mut Uuid::encode_buffer())).into())
    }

    /// Returns the id of the request that the current task answers.
    pub fn current() -> Option<Self> {
        telemetry::request_id().map(Self)
    }

    /// Runs work that belongs to this request.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        Scope { request_id: Some(self.0), ..Scope::default() }.run(work).await
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the value of the header [`HEADER`].
    pub fn value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("-"))
    }
}

fn is_harmless(text: &[u8]) -> bool {
    (1..=MAX_BYTES).contains(&text.len())
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
}
