//! Requests to change to another protocol (`Connection: upgrade`): the service speaks HTTP/1.1 only, and ignores them
//! (RFC 9110, 7.8).
//!
//! The framework does not: it ends the connection after its answer without saying so, and takes all that comes after
//! `Upgrade: websocket` for the other protocol, whatever `Content-Length` says.

use actix_http::{
    BoxedPayloadStream, ConnectionType, HttpMessage, Payload, Request, Response, error::PayloadError,
};
use actix_service::Service;
use actix_web::{
    HttpResponse,
    http::header::{self, HeaderMap},
};
use futures_util::{StreamExt, stream};
use std::future::Future;

/// Answers a request with `app` as if it did not ask for another protocol, and says that the connection ends where it does.
pub fn ignore<S, B>(
    mut request: Request,
    app: &S,
) -> impl Future<Output = Result<Response<B>, HttpResponse>> + use<S, B>
where
    S: Service<Request, Error = HttpResponse>,
    S::Response: Into<Response<B>>,
{
    let takes_body = takes_body_for_websocket(request.headers());
    let ends = takes_body || request.head().connection_type() == ConnectionType::Upgrade;
    if takes_body {
        let length = content_length(request.headers());
        let payload = first_bytes(request.take_payload(), length);
        *request.payload() = Payload::Stream { payload };
    }
    let answered = app.call(request);
    async move {
        match answered.await {
            Ok(response) => {
                let mut response = response.into();
                if ends {
                    response.head_mut().set_connection_type(ConnectionType::Close);
                }
                Ok(response)
            }
            Err(mut response) => {
                if ends {
                    response.head_mut().set_connection_type(ConnectionType::Close);
                }
                Err(response)
            }
        }
    }
}

/// Returns whether the framework reads what follows the head as a stream without end.
fn takes_body_for_websocket(headers: &HeaderMap) -> bool {
    let websocket =
        |value: &header::HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    headers.get_all(header::UPGRADE).any(websocket) && !headers.contains_key(header::TRANSFER_ENCODING)
}

fn content_length(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

/// As many bytes of a stream as there must be.
fn first_bytes(payload: Payload, length: u64) -> BoxedPayloadStream {
    Box::pin(stream::try_unfold((payload, length), |(mut payload, missing)| async move {
        if missing == 0 {
            return Ok(None);
        }
        let Some(chunk) = payload.next().await else { return Err(PayloadError::Incomplete(None)) };
        let mut chunk = chunk?;
        chunk.truncate(usize::try_from(missing).unwrap_or(usize::MAX));
        let missing = missing.saturating_sub(chunk.len() as u64);
        Ok(Some((chunk, (payload, missing))))
    }))
}
