use super::prelude::*;
use crate::http::{
    examples,
    extract::query::{PageLimit, Query, page_response, query_parameters},
};
use crate::{
    domain::{
        Timestamp,
        dead_letter::{DeadLetter, Resolution},
        ids::{DeadLetterId, OrderId, UserId},
    },
    services::dead_letters::DeadLetterFilter,
};
use base64::{Engine, prelude::BASE64_STANDARD};

/// An accepted order that could not be stored.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter, examples(examples::dead_letter))]
struct DeadLetterView {
    /// The id, which never changes.
    id: DeadLetterId,
    /// The id of the order, if the message has one.
    #[schema(required)]
    order_id: Option<OrderId>,
    /// The reason why it could not be stored.
    reason: String,
    /// The number of attempts to store it.
    #[schema(minimum = 1)]
    attempts: u32,
    /// The time of the first failed attempt.
    first_failed_at: Timestamp,
    /// The time at which it became a dead letter.
    created_at: Timestamp,
    /// The decision about it; null while it waits for one.
    #[schema(required)]
    resolution: Option<Resolution>,
    /// The time of the decision.
    #[schema(required)]
    resolved_at: Option<Timestamp>,
    /// The account that decided; null for an operator at the command line.
    #[schema(required)]
    resolved_by: Option<UserId>,
    /// The message, if it is text; only where one dead letter is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    payload: Option<String>,
    /// The message byte by byte, in Base64 (RFC 4648); only where one dead letter is shown.
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
#[schema(as = DeadLetterPage, examples(json!({ "dead_letters": [examples::listed_dead_letter()], "next_cursor": null })))]
struct DeadLettersView {
    /// The dead letters on this page.
    dead_letters: Vec<DeadLetterView>,
    /// The cursor of the next page, if there is one.
    #[schema(required)]
    next_cursor: Option<String>,
}

const LIST: char = 'd';

const LETTER: &str = "dead letter";

query_parameters! {
    paged
    /// Filters of the list of dead letters.
    DeadLetterParams {
        /// `open` (the default): those that wait for a decision; `replayed` or `discarded`: those with this decision; or `all`.
        #[param(inline)]
        resolution: ResolutionParam,
    }
}

#[derive(Clone, Copy, Deserr, ToSchema)]
#[deserr(rename_all = lowercase)]
#[schema(rename_all = "lowercase", default = "open")]
enum ResolutionParam {
    Open,
    Replayed,
    Discarded,
    All,
}

/// Lists dead letters, newest first
#[utoipa::path(get, path = "/dead-letters", operation_id = "list_dead_letters", tag = "dead-letters",
    security(("token" = ["admin"])),
    params(DeadLetterParams),
    responses((status = 200, description = "A page of dead letters.", body = DeadLettersView, headers(("Link" = String))),
        ForToken, ForQuery, Unavailable))]
pub async fn list(
    app: Data<AppState>,
    _: Admin,
    request: HttpRequest,
    query: Query<DeadLetterParams>,
) -> Answer {
    let DeadLetterParams { resolution, limit, ref cursor } = query.params;
    let page = query.page(LIST, limit, cursor.as_deref())?;
    let filter = match resolution {
        None | Some(ResolutionParam::Open) => DeadLetterFilter::Open,
        Some(ResolutionParam::Replayed) => DeadLetterFilter::Resolved(Resolution::Replayed),
        Some(ResolutionParam::Discarded) => DeadLetterFilter::Resolved(Resolution::Discarded),
        Some(ResolutionParam::All) => DeadLetterFilter::All,
    };
    let after = page.after.map(|(at, id)| (at, DeadLetterId(id)));
    let mut letters = app.dead_letters.page(filter, after, page.limit()).await?;
    let next_cursor = page.cut(&mut letters, |letter| (letter.created_at, letter.id.0), None);
    let dead_letters = letters.into_iter().map(DeadLetterView::from).collect();
    page_response(&request, next_cursor.clone(), DeadLettersView { dead_letters, next_cursor }).await
}

/// Shows a dead letter with its message
#[utoipa::path(get, path = "/dead-letters/{id}", operation_id = "get_dead_letter", tag = "dead-letters",
    security(("token" = ["admin"])),
    params(("id" = DeadLetterId, Path, description = "The id of the dead letter.")),
    responses((status = 200, description = "The dead letter and its message.", body = DeadLetterView),
        ForToken, Missing, Unavailable))]
pub async fn show(app: Data<AppState>, _: Admin, id: Path<String>) -> Answer {
    let found = app.dead_letters.find(path_id(&id, LETTER)?).await?;
    let (letter, payload) = found.ok_or_else(|| Problem::not_found(LETTER))?;
    Ok(HttpResponse::Ok().json(DeadLetterView {
        payload_base64: Some(BASE64_STANDARD.encode(&payload)),
        payload: String::from_utf8(payload).ok(),
        ..DeadLetterView::from(letter)
    }))
}

/// Stores the order of a dead letter after all, under the same id
#[utoipa::path(post, path = "/dead-letters/{id}/replay", operation_id = "replay_dead_letter", tag = "dead-letters",
    security(("token" = ["admin"])),
    params(("id" = DeadLetterId, Path, description = "The id of the dead letter.")),
    responses((status = 200, description = "The order is stored, now or since an earlier replay.", body = DeadLetterView),
        ForToken, Missing, Unstorable, Unavailable))]
pub async fn replay(app: Data<AppState>, Admin(caller): Admin, id: Path<String>) -> Answer {
    let letter = app.dead_letters.replay(path_id(&id, LETTER)?, Some(caller.id)).await?;
    Ok(HttpResponse::Ok().json(DeadLetterView::from(letter)))
}

/// Discards a dead letter
///
/// It can still be read, and replayed.
#[utoipa::path(delete, path = "/dead-letters/{id}", operation_id = "discard_dead_letter", tag = "dead-letters",
    security(("token" = ["admin"])),
    params(("id" = DeadLetterId, Path, description = "The id of the dead letter.")),
    responses((status = 204, description = "The dead letter is discarded, now or since earlier."),
        ForToken, Missing, Replayed, Unavailable))]
pub async fn discard(app: Data<AppState>, Admin(caller): Admin, id: Path<String>) -> Answer {
    app.dead_letters.discard(path_id(&id, LETTER)?, Some(caller.id)).await?;
    Ok(HttpResponse::NoContent().finish())
}
