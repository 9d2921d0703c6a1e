//! The stream of changes (server-sent events).

mod event_stream;
pub mod events;

use super::prelude::*;
use crate::{
    domain::ids::BoardId,
    http::{
        extract::{
            auth::expiry,
            query::{Query, query_parameters},
        },
        head_only::is_head_only,
        server::connection_progress::ConnectionProgress,
    },
    services::feed::Pending,
};
use actix_web::{
    body::None as NoBody,
    http::header::{self, ContentEncoding},
};
use event_stream::{EventStream, StreamStart};
use std::rc::Rc;

/// Tells proxies to pass events on at once (nginx).
const ACCEL_BUFFERING: &str = "x-accel-buffering";
const LAST_EVENT_ID: &str = "last-event-id";

query_parameters! {
    /// The parameters of the stream.
    StreamQuery {
        /// The id of a board, a UUID that it made. A board gets a heartbeat every 3 seconds, others every 15.
        board: BoardId,
    }
}

/// Streams changes
///
/// Server-sent events, each with JSON. Customers get changes of their own orders and of the menu, staff those of all orders. Pass the
/// `Changes-Cursor` of a list, or the `id` of the last event, as `Last-Event-ID` to get what has changed since; without it the
/// stream begins now. An order may come again in a version that you have: ignore it. The stream ends with `bye`, or when you do not
/// read it; then begin another.
#[utoipa::path(get, path = "/stream", operation_id = "stream_changes", tag = "orders", security(("token" = [])),
    params(StreamQuery, LastEventIdHeader),
    responses(
        (status = 200, description = "Events, until the stream ends.", body = String, content_type = "text/event-stream"),
        ForToken, ForQuery, Unavailable))]
pub async fn stream(
    app: Data<AppState>,
    SignedIn(caller): SignedIn,
    request: HttpRequest,
    query: Query<StreamQuery>,
) -> Answer {
    let Some(subscriber) = app.feed.subscribe(caller, app.max_streams) else {
        return Err(Problem::unavailable(&"this process has all the streams that it may have"));
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store, no-transform"))
        .insert_header((ACCEL_BUFFERING, "no"))
        // A compressor would hold events back until it has enough of them.
        .insert_header(ContentEncoding::Identity);
    if is_head_only(&request) {
        return Ok(response.body(NoBody::new()));
    }
    // Subscribed first: what changes from here on is in the mailbox.
    let missed = match request.headers().get(LAST_EVENT_ID) {
        None => None,
        Some(cursor) => match cursor.to_str().ok().and_then(|cursor| cursor.parse().ok()) {
            Some(cursor) => Some(app.feed.since(caller, &cursor).await?),
            None => Some(Pending { reset: true, ..Pending::default() }),
        },
    };
    let connection = request.conn_data::<Rc<ConnectionProgress>>();
    if connection.is_some_and(|connection| !connection.become_stream()) {
        return Err(Problem::unavailable(&"this address has all the streams that it may have"));
    }
    let start = StreamStart {
        subscriber,
        caller,
        missed,
        is_board: query.params.board.is_some(),
        expires_at: expiry(&request),
    };
    // Behind the stream no request is answered: the connection's place is another's now.
    Ok(response.force_close().body(EventStream::new(app.clone(), start)))
}
