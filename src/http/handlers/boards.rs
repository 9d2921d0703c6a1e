//! Boards: the screens that staff work by.

use super::prelude::*;
use crate::{
    domain::{FieldError, Timestamp, ids::BoardId, json::Optional, validation::FieldErrors},
    http::{extract::json::Json, problem::types},
    services::boards::ReportError,
};

/// What a board has shown.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(error = FieldErrors, deny_unknown_fields)]
#[schema(as = SeenReport, examples(json!({ "cursor": "7-00000001-5-16402.1795710146.731:733:731", "shown_until": null })))]
pub struct SeenReport {
    /// The `id` of the latest events that it has shown, or the `Changes-Cursor` of the list.
    #[schema(min_length = 1)]
    cursor: String,
    /// The `due_at` of the last order that has room on the board; null if all have.
    #[serde(default)]
    #[deserr(default)]
    #[schema(value_type = Option<Timestamp>)]
    shown_until: Optional<Timestamp>,
}

/// Reports what a board has shown
///
/// For staff. A board reports every few seconds. Waiting orders that no open board has shown for `UNSEEN_SECONDS` are told to all
/// streams of staff and to their guests (`unseen`), and raise an alert.
#[utoipa::path(post, path = "/boards/{id}/seen", operation_id = "report_seen", tag = "orders", security(("token" = ["staff"])),
    params(("id" = BoardId, Path, description = "The id of the board, a UUID that it made.")),
    request_body = SeenReport,
    responses((status = 204, description = "Noted."), ForToken, Missing, OtherFeed, ForBody, Unavailable))]
pub async fn seen(
    app: Data<AppState>,
    Staff(caller): Staff,
    id: Path<String>,
    Json(report): Json<SeenReport>,
) -> Answer {
    let id = path_id(&id, "board")?;
    if report.cursor.is_empty() {
        return Err(
            FieldError::new("cursor", "must be the id of an event, or the Changes-Cursor of a list").into()
        );
    }
    // Text of any other form is no cursor of this feed either.
    let other_feed =
        || Problem::new(types::OTHER_FEED, "The cursor is not of the present feed: read the lists again.");
    let cursor = report.cursor.parse().map_err(|_| other_feed())?;
    match app.boards.note_seen(caller, id, &cursor, report.shown_until.0).await {
        Ok(()) => Ok(HttpResponse::NoContent().finish()),
        Err(ReportError::OtherFeed) => Err(other_feed()),
        Err(ReportError::Database(error)) => Err(error.into()),
    }
}
