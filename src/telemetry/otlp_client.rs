//! The HTTP client for the collector of traces and for the broker's management API. The program connects to no other server,
//! besides the database and the broker.

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rustls::crypto::aws_lc_rs;
use std::{sync::Arc, time::Duration};
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig},
};

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_RESPONSE_BYTES: u64 = 64 * 1024;

/// Makes a client that blocks, and that connects to the requested address only.
pub fn http_agent(timeout: Duration) -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .build();
    let config = Agent::config_builder().timeout_global(Some(timeout)).tls_config(tls);
    config.http_status_as_error(false).max_redirects(0).proxy(None).build().into()
}

/// Sends the exporter's requests. It blocks: the exporter has a thread of its own.
#[derive(Debug)]
pub(super) struct OtlpClient(Agent);

impl OtlpClient {
    pub(super) fn new() -> Self {
        Self(http_agent(RESPONSE_TIMEOUT))
    }
}

#[async_trait]
impl HttpClient for OtlpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let response = self.0.run(Request::from_parts(head, body.to_vec()))?;
        let (head, mut body) = response.into_parts();
        let body = body.with_config().limit(MAX_RESPONSE_BYTES).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }
}
