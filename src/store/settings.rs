//! What one installation keeps for itself.

use super::{Conn, Result, on, schema::settings};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, dsl::sql, sql_types::Text};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

/// The size of a rehearsed setting, in bytes.
const PROBE_BYTES: usize = 8192;

/// The value of a setting, which is `fresh` if it had none yet. All who ask get the same.
pub async fn get_or_set(conn: &mut Conn, name: &'static str, fresh: String) -> Result<String> {
    on!(conn, c => diesel::insert_into(settings::table)
        .values((settings::name.eq(name), settings::value.eq(fresh)))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(on!(conn, c => settings::table.find(name).select(settings::value).first(c))?)
}

/// The value of a setting.
pub async fn get(conn: &mut Conn, name: &'static str) -> Result<Option<String>> {
    Ok(on!(conn, c => settings::table.find(name).select(settings::value).first(c)).optional()?)
}

/// Adds one to a setting that counts. Others who count wait until this transaction ends.
pub async fn count_up(conn: &mut Conn, name: &'static str) -> Result<()> {
    on!(conn, c => diesel::update(settings::table.find(name))
        .set(settings::value.eq(sql::<Text>("CAST(CAST(value AS BIGINT) + 1 AS TEXT)")))
        .execute(c))?;
    Ok(())
}

/// Writes a setting and takes it back: shows whether anything is kept where there is nothing yet that an order could refer to.
/// Belongs in a transaction.
pub async fn probe_write(conn: &mut Conn) -> Result<()> {
    let name = format!("rehearsal-{}", Uuid::now_v7().simple());
    // As much as does not fit into a page that is there already.
    let value = "-".repeat(PROBE_BYTES);
    on!(conn, c => diesel::insert_into(settings::table)
        .values((settings::name.eq(&name), settings::value.eq(value)))
        .execute(c))?;
    on!(conn, c => diesel::delete(settings::table.find(&name)).execute(c))?;
    Ok(())
}
