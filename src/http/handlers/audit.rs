//! Who changed what, for admins.

use crate::http::{
    app_state::AppState,
    extract::{
        auth::Admin,
        query::{self, Query, wrong},
    },
    openapi::{ForQuery, ForToken, Page, Unavailable, Which},
    problem::Problem,
};
use crate::{
    domain::{
        Timestamp,
        audit::{Action, Change, Entry, SubjectKind},
        ids::{EntryId, SubjectId, UserId},
    },
    services::audit::AuditFilter,
};
use actix_web::{HttpRequest, Responder, web::Data};
use serde::Serialize;
use utoipa::ToSchema;

/// What something was done to.
#[derive(Serialize, ToSchema)]
struct Subject {
    /// What kind of thing it is.
    kind: SubjectKind,
    /// Which one.
    id: SubjectId,
}

/// Something that somebody changed.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct EntryView {
    /// Its name.
    id: EntryId,
    /// When it was done.
    at: Timestamp,
    /// Who did it; null for an operator at the command line.
    #[schema(required)]
    actor_id: Option<UserId>,
    /// What was done.
    action: Action,
    /// What it was done to.
    subject: Subject,
    /// What is different since, as far as it is told: a password is not.
    changes: Vec<Change>,
    /// The `X-Request-Id` of the request that asked for it; null at the command line.
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
#[schema(as = AuditPage)]
struct TrailView {
    /// The entries.
    entries: Vec<EntryView>,
    /// Where the next page begins, if there is one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// The audit trail, in cursors.
const LIST: char = 'a';

/// What may be asked of it.
const KNOWN: &[&str] = &["actor", "action", "subject_kind", "subject_id", "from", "until", "limit", "cursor"];

/// `GET /audit`: who changed what, newest first.
#[utoipa::path(get, path = "/audit", operation_id = "list_audit_entries", tag = "audit",
    security(("token" = ["admin"])),
    params(Which, Page),
    responses((status = 200, description = "A page of the trail.", body = TrailView,
        headers(("Link" = String))), ForToken, ForQuery, Unavailable))]
pub async fn list(app: Data<AppState>, _: Admin, request: HttpRequest) -> Result<impl Responder, Problem> {
    let query = Query::read(&request, KNOWN)?;
    let limit = query.limit()?;
    let filter = AuditFilter {
        actor: query.parsed("actor")?,
        action: query.parsed("action")?,
        kind: query.parsed("subject_kind")?,
        subject: query
            .text("subject_id")
            .map(str::parse)
            .transpose()
            .map_err(|_| wrong("subject_id", "must be an id"))?,
        from: query.moment("from")?,
        until: query.moment("until")?,
    };
    if filter.from.zip(filter.until).is_some_and(|(from, until)| from >= until) {
        return Err(wrong("until", "must be later than from"));
    }
    let after = query.cursor(LIST)?;
    let mut page = app.trail.page(filter, after, limit + 1).await?;
    let next = query.cut(&mut page, limit, LIST, Entry::page_key, None);
    let entries = page.into_iter().map(EntryView::from).collect();
    query::page(&request, next.as_deref(), TrailView { entries, next_cursor: next.clone() }).await
}
