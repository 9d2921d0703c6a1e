//! Boards: the screens that staff work by.

use super::prelude::*;
use crate::{
    domain::{FieldError, Timestamp, ids::BoardId, json::Optional, validation::FieldErrors},
    http::extract::json::Json,
    services::boards::ReportError,
};

/// What a board has shown.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(error = FieldErrors, deny_unknown_fields)]
#[schema(as = SeenReport, examples(json!({ "cursor": "7-00000001-5-16402.1795710146.731:733:731", "shown_until": null })))]
pub struct SeenReport {
    /// The `id` of the latest events that it has shown, or the `Changes-Cursor` of the list.
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
    responses((status = 204, description = "Noted."), ForToken, Missing, ForBody, Unavailable))]
pub async fn seen(
    app: Data<AppState>,
    Staff(caller): Staff,
    id: Path<String>,
    Json(report): Json<SeenReport>,
) -> Answer {
    let id = path_id(&id, "board")?;
    let wrong = || FieldError::new("cursor", "must be the id of an event, or the Changes-Cursor of a list");
    let cursor = report.cursor.parse().map_err(|_| wrong())?;
    match app.boards.note_seen(caller, id, &cursor, report.shown_until.0).await {
        Ok(()) => Ok(HttpResponse::NoContent().finish()),
        Err(ReportError::OtherFeed) => Err(wrong().into()),
        Err(ReportError::Database(error)) => Err(error.into()),
    }
}
