//! Audit entries, except the transitions of orders: those are read from their own table
//! ([`transitions::entries`](super::orders::transitions::entries)).

pub use crate::domain::filters::AuditFilter;

use super::{Conn, Result, narrow, narrow_to, on, schema::audit_entries, sql_types};
use crate::domain::{
    Timestamp,
    audit::{Action, Actor, Changes, Entry},
    ids::{EntryId, SubjectId, UserId},
};
use diesel::{
    prelude::*,
    sql_types::{Nullable, Text},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_entries, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
struct Row {
    id: EntryId,
    at: Timestamp,
    actor_id: Option<UserId>,
    action: Action,
    subject_id: SubjectId,
    changes: Changes,
    request_id: Option<String>,
}

impl From<Row> for Entry {
    fn from(Row { id, at, actor_id, action, subject_id, changes, request_id }: Row) -> Self {
        Self { id, at, actor_id, action, subject_id, changes, request_id }
    }
}

/// Adds an entry. Belongs in the transaction of the change that it describes.
pub async fn add(conn: &mut Conn, entry: &Entry) -> Result<()> {
    let row = (
        audit_entries::id.eq(entry.id),
        audit_entries::at.eq(entry.at),
        audit_entries::actor_id.eq(entry.actor_id),
        audit_entries::action.eq(entry.action),
        audit_entries::subject_kind.eq(entry.action.subject_kind()),
        audit_entries::subject_id.eq(entry.subject_id),
        audit_entries::changes.eq(&entry.changes),
        audit_entries::request_id.eq(entry.request_id.as_deref()),
    );
    on!(conn, c => diesel::insert_into(audit_entries::table).values(&row).execute(c))?;
    Ok(())
}

/// Loads a page of entries, newest first, after the entry `after`. Each page is led by one index, that of the
/// first condition set among subject, actor, action and kind: query one [part](AuditFilter::parts) after the
/// other.
pub async fn page(
    conn: &mut Conn,
    filter: &AuditFilter,
    after: Option<(Timestamp, Uuid)>,
    limit: i64,
) -> Result<Vec<Entry>> {
    let AuditFilter { actor, action, kind, subject, from, until } = *filter;
    let rows: Vec<Row> = on!(conn, c => {
        let mut query = audit_entries::table.select(Row::as_select()).into_boxed();
        let mut led = subject.is_some();
        narrow!(query,
            Some(subject) = subject => audit_entries::subject_id.eq(subject),
            Some(Actor::System) = actor => audit_entries::actor_id.is_null(),
        );
        if let Some(Actor::Account(id)) = actor {
            narrow_to!(query, audit_entries::actor_id, id, Nullable<sql_types::Uuid>, led: led);
        }
        led |= actor.is_some();
        if let Some(action) = action {
            narrow_to!(query, audit_entries::action, action, Text, led: led);
        }
        led |= action.is_some();
        if let Some(kind) = kind {
            narrow_to!(query, audit_entries::subject_kind, kind, Text, led: led);
        }
        narrow!(query,
            Some(from) = from => audit_entries::at.ge(from),
            Some(until) = until => audit_entries::at.lt(until),
            Some((at, id)) = after =>
                audit_entries::at.le(at).and(audit_entries::at.lt(at).or(audit_entries::id.lt(EntryId(id)))),
        );
        query.order((audit_entries::at.desc(), audit_entries::id.desc())).limit(limit).load(c)
    })?;
    Ok(rows.into_iter().map(Entry::from).collect())
}
