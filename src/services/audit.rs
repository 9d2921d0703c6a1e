//! The audit trail. Entries are added in the transaction of the change that they describe, so that neither
//! exists without the other.

pub use crate::domain::filters::AuditFilter;

use crate::{
    domain::{
        Timestamp,
        account::User,
        audit::{Action, Changes, Entry},
        ids::{EntryId, SubjectId, UserId},
        now,
    },
    services::DatabaseError,
    store::{self, Conn, Store, audit, orders::transitions},
    telemetry,
};
use serde_json::json;
use std::cmp::Reverse;
use uuid::Uuid;

/// Adds an entry in the transaction of the change. `actor` is `None` for an operator at the command line.
pub async fn record(
    conn: &mut Conn,
    actor: impl Into<Option<UserId>>,
    action: Action,
    subject: impl Into<SubjectId>,
    changes: Changes,
) -> store::Result<()> {
    let entry = Entry {
        id: EntryId::new_v7(),
        at: now(),
        actor_id: actor.into(),
        action,
        subject_id: subject.into(),
        changes,
        request_id: telemetry::request_id().map(|request| request.as_ref().to_owned()),
    };
    audit::add(conn, &entry).await
}

pub async fn record_if_changed(
    conn: &mut Conn,
    actor: impl Into<Option<UserId>>,
    action: Action,
    subject: impl Into<SubjectId>,
    changes: Changes,
) -> store::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    record(conn, actor, action, subject, changes).await
}

/// Adds entries for a changed role or activity.
pub async fn record_access(conn: &mut Conn, by: UserId, before: &User, after: &User) -> store::Result<()> {
    let role = |user: &User| json!({ "role": user.role });
    let roles = Changes::between(&role(before), &role(after));
    record_if_changed(conn, by, Action::AccountRoleChanged, after.id, roles).await?;
    let active = |user: &User| json!({ "active": user.active });
    let switched = if after.active { Action::AccountActivated } else { Action::AccountDeactivated };
    record_if_changed(conn, by, switched, after.id, Changes::between(&active(before), &active(after))).await
}

#[derive(Clone)]
pub struct AuditTrail {
    pub store: Store,
}

impl AuditTrail {
    /// Loads a page of entries, newest first, after the entry `after`.
    pub async fn page(
        &self,
        filter: AuditFilter,
        after: Option<(Timestamp, Uuid)>,
        limit: i64,
    ) -> Result<Vec<Entry>, DatabaseError> {
        let read = self.store.read(async move |conn| {
            let mut page = Vec::new();
            for part in filter.parts() {
                page.extend(audit::page(conn, &part, after, limit).await?);
            }
            if filter.admits_moves() {
                page.extend(transitions::entries(conn, &filter, after, limit).await?);
            }
            page.sort_unstable_by_key(|entry| Reverse(entry.page_key()));
            page.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(page)
        });
        Ok(read.await?)
    }
}
