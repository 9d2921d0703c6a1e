//! Names each request, so that what a client was told is found in the log.

use crate::telemetry::{self, Scope, traces::TraceContext};
use actix_web::{HttpRequest, http::header::HeaderValue};
use serde::{Serialize, Serializer};
use std::sync::Arc;
use uuid::Uuid;

/// The header that carries it.
pub const HEADER: &str = "x-request-id";

/// The most bytes that one of the client's own may have.
const MAX_BYTES: usize = 64;

/// A request's name: the client's own (or its proxy's) if that is harmless in a log, else a new one.
#[derive(Debug, Clone)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Of this request.
    pub fn of(request: &HttpRequest) -> Self {
        match request.headers().get(HEADER) {
            Some(given) if is_harmless(given.as_bytes()) => Self(given.to_str().unwrap_or_default().into()),
            _ => Self::generate(),
        }
    }

    fn generate() -> Self {
        Self((&*Uuid::now_v7().simple().encode_lower(&mut Uuid::encode_buffer())).into())
    }

    /// Of the request that this task answers.
    pub fn current() -> Option<Self> {
        telemetry::request_id().map(Self)
    }

    /// What is done for this request, in this trace.
    pub async fn scope<T>(self, trace: TraceContext, work: impl Future<Output = T>) -> T {
        Scope { request_id: Some(self.0), trace }.run(work).await
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As the value of its header.
    pub fn value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("-"))
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

fn is_harmless(text: &[u8]) -> bool {
    (1..=MAX_BYTES).contains(&text.len())
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
}
