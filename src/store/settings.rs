//! Settings that an installation stores for itself.

use super::{Conn, Result, on, schema::settings};
use diesel::{dsl::sql, prelude::*, sql_types::Text};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

/// Size of the probe's value.
const PROBE_BYTES: usize = 8192;

/// Returns a setting, after setting it to `fresh` if it has no value. All callers get the same value.
pub async fn get_or_set(conn: &mut Conn, name: &'static str, fresh: String) -> Result<String> {
    on!(conn, c => diesel::insert_into(settings::table)
        .values((settings::name.eq(name), settings::value.eq(fresh)))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(on!(conn, c => settings::table.find(name).select(settings::value).first(c))?)
}

pub async fn get(conn: &mut Conn, name: &'static str) -> Result<Option<String>> {
    Ok(on!(conn, c => settings::table.find(name).select(settings::value).first(c)).optional()?)
}

/// Writes a setting unless it has this value. Returns whether it did: of several transactions that replace the
/// same value one does.
pub async fn replace(conn: &mut Conn, name: &'static str, value: &str) -> Result<bool> {
    let other = settings::table.find(name).filter(settings::value.ne(value));
    let replaced = on!(conn, c => diesel::update(other).set(settings::value.eq(value)).execute(c))?;
    let added = on!(conn, c => diesel::insert_into(settings::table)
        .values((settings::name.eq(name), settings::value.eq(value)))
        .on_conflict(settings::name)
        .do_nothing()
        .execute(c))?;
    Ok(replaced + added > 0)
}

/// Increments a counter. Others that increment it wait until this transaction ends.
pub async fn count_up(conn: &mut Conn, name: &'static str) -> Result<()> {
    on!(conn, c => diesel::update(settings::table.find(name))
        .set(settings::value.eq(sql::<Text>("CAST(CAST(value AS BIGINT) + 1 AS TEXT)")))
        .execute(c))?;
    Ok(())
}

/// Writes a setting and deletes it again, to learn whether the database accepts changes while it is empty and
/// an order could refer to nothing. Belongs in a transaction.
pub async fn probe_write(conn: &mut Conn) -> Result<()> {
    let name = format!("rehearsal-{}", Uuid::now_v7().simple());
    // Too large to fit into a page that exists already.
    let value = "-".repeat(PROBE_BYTES);
    on!(conn, c => diesel::insert_into(settings::table)
        .values((settings::name.eq(&name), settings::value.eq(value)))
        .execute(c))?;
    on!(conn, c => diesel::delete(settings::table.find(&name)).execute(c))?;
    Ok(())
}
