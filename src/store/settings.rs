//! What one installation keeps for itself.

use super::{Conn, Result, on, schema::settings};
use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;

/// The value of a setting, which is `fresh` if it had none yet. All who ask get the same.
pub async fn get_or_set(conn: &mut Conn, name: &'static str, fresh: String) -> Result<String> {
    on!(conn, c => diesel::insert_into(settings::table)
        .values((settings::name.eq(name), settings::value.eq(fresh)))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(on!(conn, c => settings::table.find(name).select(settings::value).first(c))?)
}
