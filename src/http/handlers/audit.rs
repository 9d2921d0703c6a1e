//! The audit trail, for admins.

use super::prelude::*;
use crate::http::{
    examples,
    extract::query::{PageLimit, Query, TimeParam, page_response, query_parameters},
};
use crate::{
    domain::{
        Timestamp,
        audit::{Action, Actor, Change, Entry, SubjectKind},
        ids::{EntryId, SubjectId, UserId},
    },
    services::audit::AuditFilter,
};

/// The account, recipe, order or dead letter that was changed.
#[derive(Serialize, ToSchema)]
struct Subject {
    /// The kind of the subject.
    kind: SubjectKind,
    /// The id of the subject.
    id: SubjectId,
}

/// A change that somebody made.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry, examples(examples::audit_entry))]
struct EntryView {
    /// The id of the entry.
    id: EntryId,
    /// The time of the change.
    at: Timestamp,
    /// The account that made it; null for an operator at the command line.
    #[schema(required)]
    actor_id: Option<UserId>,
    /// The kind of the change.
    action: Action,
    /// The account, recipe, order or dead letter that was changed.
    subject: Subject,
    /// The fields that differ. Passwords are never shown.
    changes: Vec<Change>,
    /// The `X-Request-Id` of the request; null at the command line.
    #[schema(required)]
    request_id: Option<String>,
}

impl From<Entry> for EntryView {
    fn from(Entry { id, at, actor_id, action, subject_id, changes, request_id }: Entry) -> Self {
        let subject = Subject { kind: action.subject_kind(), id: subject_id };
        Self { id, at, actor_id, action, subject, changes: changes.into_list(), request_id }
    }
}

/// A page of the audit trail.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditPage, examples(json!({ "entries": [examples::audit_entry()], "next_cursor": null })))]
struct TrailView {
    /// The entries on this page.
    entries: Vec<EntryView>,
    /// The cursor of the next page, if there is one.
    #[schema(required)]
    next_cursor: Option<String>,
}

const LIST: char = 'a';

query_parameters! {
    paged
    /// Filters of the audit trail; all of them must match.
    AuditParams {
        /// Only changes by this account, or by `system`: an operator at the command line.
        #[param(inline)]
        actor: Actor,
        /// Only changes of this kind.
        action: Action,
        /// Only changes of this kind of thing.
        subject_kind: SubjectKind,
        /// Only changes of this account, recipe, order or dead letter.
        subject_id: SubjectId,
        /// Only changes at this time or later (1970 to 9999).
        #[param(value_type = Option<Timestamp>)]
        from: TimeParam,
        /// Only changes before this time (1970 to 9999), which must be later than `from`.
        #[param(value_type = Option<Timestamp>)]
        until: TimeParam,
    }
}

/// Lists recorded changes, newest first
#[utoipa::path(get, path = "/audit", operation_id = "list_audit_entries", tag = "audit",
    security(("token" = ["admin"])),
    params(AuditParams),
    responses((status = 200, description = "A page of the trail.", body = TrailView,
        headers(("Link" = String))), ForToken, ForQuery, Unavailable))]
pub async fn list(app: Data<AppState>, _: Admin, request: HttpRequest, query: Query<AuditParams>) -> Answer {
    let AuditParams { actor, action, subject_kind, subject_id, from, until, limit, ref cursor } =
        query.params;
    let (from, until) = (from.map(|from| from.0), until.map(|until| until.0));
    if from.zip(until).is_some_and(|(from, until)| from >= until) {
        return Err(Problem::of_parameter("until", "must be later than from"));
    }
    let page = query.page(LIST, limit, cursor.as_deref())?;
    let filter = AuditFilter { actor, action, kind: subject_kind, subject: subject_id, from, until };
    let mut entries = app.trail.page(filter, page.after, page.limit()).await?;
    let next_cursor = page.cut(&mut entries, Entry::page_key, None);
    let entries = entries.into_iter().map(EntryView::from).collect();
    page_response(&request, next_cursor.clone(), TrailView { entries, next_cursor }).await
}
