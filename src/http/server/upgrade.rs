//! Requests to change to another protocol (`Connection: upgrade`): the service speaks HTTP/1.1 only, and ignores them
//! (RFC 9110, 7.8).
//!
//! The framework does not ignore them: it ends the connection after its response without a header that says so, and takes all that
//! comes after `Upgrade: websocket` for the other protocol, whatever `Content-Length` says.
//!
//! For pipelined requests it keeps only the latest one's `Connection`: behind one with `Connection: close` the connection would go
//! on.

use super::connection_progress::ConnectionProgress;
use actix_http::{
    BoxedPayloadStream, ConnectionType, HttpMessage, Payload, Request, Response, error::PayloadError,
};
use actix_service::Service;
use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
};
use futures_util::{StreamExt, future::Either, stream};
use std::{
    future::{Future, poll_fn},
    rc::Rc,
    task::Poll,
};

/// Answers a request with `app` as if it did not ask for another protocol, with `Connection: close` where the connection ends. A
/// request behind that response gets none.
pub fn ignore<S, B>(
    mut request: Request,
    app: &S,
) -> impl Future<Output = Result<Response<B>, HttpResponse>> + use<S, B>
where
    S: Service<Request, Error = HttpResponse>,
    S::Response: Into<Response<B>>,
{
    let progress = request.conn_data::<Rc<ConnectionProgress>>().cloned();
    let takes_body = takes_body_for_websocket(request.headers());
    let ends = takes_body || request.head().connection_type() != ConnectionType::KeepAlive;
    if takes_body {
        let length = content_length(request.headers());
        let payload = first_bytes(request.take_payload(), length);
        *request.payload() = Payload::Stream { payload };
    }
    let answered = match &progress {
        Some(progress) if progress.is_behind_end() => Either::Right(progress.clone()),
        _ => Either::Left(app.call(request)),
    };
    async move {
        let mut answer = match answered {
            Either::Left(answered) => answered.await.map(Into::into),
            Either::Right(progress) => Err(unwritten(&progress).await),
        };
        let head = match &mut answer {
            Ok(response) => response.head_mut(),
            Err(response) => response.head_mut(),
        };
        if ends {
            head.set_connection_type(ConnectionType::Close);
        }
        if head.connection_type() == ConnectionType::Close
            && let Some(progress) = progress
        {
            progress.announce_end();
        }
        answer
    }
}

/// Waits until the last response is written. Returns the response to a request behind it, which is never written.
async fn unwritten(progress: &ConnectionProgress) -> HttpResponse {
    poll_fn(|cx| {
        if progress.has_written_last() {
            return Poll::Ready(());
        }
        progress.wait(cx);
        Poll::Pending
    })
    .await;
    HttpResponse::build(StatusCode::BAD_REQUEST).force_close().finish()
}

/// Returns whether the framework reads the bytes behind the head as a stream without end.
fn takes_body_for_websocket(headers: &HeaderMap) -> bool {
    let websocket =
        |value: &header::HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    headers.get_all(header::UPGRADE).any(websocket) && !headers.contains_key(header::TRANSFER_ENCODING)
}

fn content_length(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

/// Returns a stream of the first `length` bytes, which fails if there are fewer.
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
