//! Requests to change to another protocol (`Connection: upgrade`): the service speaks HTTP/1.1 only, and ignores them
//! (RFC 9110, 7.8).
//!
//! The framework does not: it ends the connection after its answer without saying so, and takes all that comes after
//! `Upgrade: websocket` for the other protocol, whatever `Content-Length` says.
//!
//! Of requests in a pipeline it remembers only what the latest said of the connection: behind one with `Connection: close` the
//! connection would go on.

use super::connection_timeouts::Progress;
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

/// Answers a request with `app` as if it did not ask for another protocol, and says that the connection ends where it does. A
/// request behind that answer gets none.
pub fn ignore<S, B>(
    mut request: Request,
    app: &S,
) -> impl Future<Output = Result<Response<B>, HttpResponse>> + use<S, B>
where
    S: Service<Request, Error = HttpResponse>,
    S::Response: Into<Response<B>>,
{
    let progress = request.conn_data::<Rc<Progress>>().cloned();
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

/// Returns what is answered to a request behind the last answer, which is never written, once that answer is.
async fn unwritten(progress: &Progress) -> HttpResponse {
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
