//! Accepted orders that could not be stored, for admins.

use crate::http::{
    app_state::AppState,
    extract::{
        auth::Admin,
        query::{self, Query, wrong},
    },
    openapi::{Decided, ForQuery, ForToken, Missing, Page, Replayed, Unavailable, Unstorable},
    problem::Problem,
};
use crate::{
    domain::{
        Timestamp,
        dead_letter::{DeadLetter, Resolution},
        ids::{DeadLetterId, OrderId, UserId},
    },
    services::dead_letters::DeadLetterFilter,
};
use actix_web::{
    HttpRequest, HttpResponse, Responder,
    web::{Data, Path},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;
use utoipa::ToSchema;

/// An accepted order that could not be stored.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
struct DeadLetterView {
    /// Its name.
    id: DeadLetterId,
    /// The order that it would have been, if it says so.
    #[schema(required)]
    order_id: Option<OrderId>,
    /// Why it could not be stored.
    reason: String,
    /// How often it was tried.
    #[schema(minimum = 1)]
    attempts: u32,
    /// When storing it failed for the first time.
    first_failed_at: Timestamp,
    /// When it was given up.
    created_at: Timestamp,
    /// What was decided about it; null while it waits for that.
    #[schema(required)]
    resolution: Option<Resolution>,
    /// When that was decided.
    #[schema(required)]
    resolved_at: Option<Timestamp>,
    /// Who decided; null for an operator at the command line.
    #[schema(required)]
    resolved_by: Option<UserId>,
    /// The message, if it is text; only where one letter is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    payload: Option<String>,
    /// The message byte by byte, in Base64 (RFC 4648); only where one letter is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    payload_base64: Option<String>,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        let (resolution, resolved_at, resolved_by) = match letter.resolution {
            Some((resolution, at, by)) => (Some(resolution), Some(at), by),
            None => (None, None, None),
        };
        Self {
            id: letter.id,
            order_id: letter.order_id,
            reason: letter.reason,
            attempts: letter.attempts,
            first_failed_at: letter.first_failed_at,
            created_at: letter.created_at,
            resolution,
            resolved_at,
            resolved_by,
            payload: None,
            payload_base64: None,
        }
    }
}

/// A page of dead letters.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterPage)]
struct DeadLettersView {
    /// The letters.
    dead_letters: Vec<DeadLetterView>,
    /// Where the next page begins, if there is one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// The list of dead letters, in cursors.
const LIST: char = 'd';

/// `GET /dead-letters`: newest first.
#[utoipa::path(get, path = "/dead-letters", operation_id = "list_dead_letters", tag = "dead-letters",
    security(("token" = ["admin"])),
    params(Decided, Page),
    responses((status = 200, description = "A page of them.", body = DeadLettersView, headers(("Link" = String))),
        ForToken, ForQuery, Unavailable))]
pub async fn list(app: Data<AppState>, _: Admin, request: HttpRequest) -> Result<impl Responder, Problem> {
    let query = Query::read(&request, &["resolution", "limit", "cursor"])?;
    let limit = query.limit()?;
    let filter = match query.text("resolution") {
        None | Some("open") => DeadLetterFilter::Open,
        Some("all") => DeadLetterFilter::All,
        Some(word) => DeadLetterFilter::Resolved(
            word.parse()
                .map_err(|problem: String| wrong("resolution", format!("{problem}, or open, or all")))?,
        ),
    };
    let after = query.cursor(LIST)?.map(|(at, id)| (at, DeadLetterId(id)));
    let mut page = app.dead_letters.page(filter, after, limit + 1).await?;
    let next = query.cut(&mut page, limit, LIST, |letter| (letter.created_at, letter.id.0), None);
    let dead_letters = page.into_iter().map(DeadLetterView::from).collect();
    query::page(&request, next.as_deref(), DeadLettersView { dead_letters, next_cursor: next.clone() }).await
}

/// `GET /dead-letters/{id}`: one with its message.
#[utoipa::path(get, path = "/dead-letters/{id}", operation_id = "get_dead_letter", tag = "dead-letters",
    security(("token" = ["admin"])),
    params(("id" = DeadLetterId, Path, description = "Which dead letter.")),
    responses((status = 200, description = "The letter and its message.", body = DeadLetterView),
        ForToken, Missing, Unavailable))]
pub async fn show(app: Data<AppState>, _: Admin, id: Path<String>) -> Result<impl Responder, Problem> {
    let (letter, payload) =
        app.dead_letters.find(read(&id)?).await?.ok_or_else(|| Problem::not_found("dead letter"))?;
    Ok(HttpResponse::Ok().json(DeadLetterView {
        payload_base64: Some(BASE64_STANDARD.encode(&payload)),
        payload: String::from_utf8(payload).ok(),
        ..DeadLetterView::from(letter)
    }))
}

/// `POST /dead-letters/{id}/replay`: stores its order after all, under the same id.
#[utoipa::path(post, path = "/dead-letters/{id}/replay", operation_id = "replay_dead_letter", tag = "dead-letters",
    security(("token" = ["admin"])),
    params(("id" = DeadLetterId, Path, description = "Which dead letter.")),
    responses((status = 200, description = "Its order is stored, now or since an earlier replay.", body = DeadLetterView),
        ForToken, Missing, Unstorable, Unavailable))]
pub async fn replay(
    app: Data<AppState>,
    Admin(caller): Admin,
    id: Path<String>,
) -> Result<impl Responder, Problem> {
    let letter = app.dead_letters.replay(read(&id)?, Some(caller.id)).await?;
    Ok(HttpResponse::Ok().json(DeadLetterView::from(letter)))
}

/// `DELETE /dead-letters/{id}`: gives it up. It can still be read, and replayed.
#[utoipa::path(delete, path = "/dead-letters/{id}", operation_id = "discard_dead_letter", tag = "dead-letters",
    security(("token" = ["admin"])),
    params(("id" = DeadLetterId, Path, description = "Which dead letter.")),
    responses((status = 204, description = "It is given up, now or since earlier."),
        ForToken, Missing, Replayed, Unavailable))]
pub async fn discard(
    app: Data<AppState>,
    Admin(caller): Admin,
    id: Path<String>,
) -> Result<impl Responder, Problem> {
    app.dead_letters.discard(read(&id)?, Some(caller.id)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What is no id names no letter.
fn read(text: &str) -> Result<DeadLetterId, Problem> {
    text.parse().map_err(|_| Problem::not_found("dead letter"))
}
