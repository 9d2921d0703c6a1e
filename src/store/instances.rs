use super::{Conn, Result, on, schema::instances};
use crate::domain::{Timestamp, ids::InstanceId, instance::Instance};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

pub async fn renew(conn: &mut Conn, instance: &Instance) -> Result<()> {
    let Instance { id, role, version, since, last_seen } = instance;
    let row = (
        instances::id.eq(id),
        instances::role.eq(role),
        instances::version.eq(version),
        instances::since.eq(since),
        instances::last_seen.eq(last_seen),
    );
    on!(conn, c => diesel::insert_into(instances::table)
        .values(row)
        .on_conflict(instances::id)
        .do_update()
        .set(instances::last_seen.eq(last_seen))
        .execute(c))?;
    Ok(())
}

pub async fn remove(conn: &mut Conn, id: InstanceId) -> Result<()> {
    on!(conn, c => diesel::delete(instances::table.find(id)).execute(c))?;
    Ok(())
}

pub async fn forget(conn: &mut Conn, before: Timestamp) -> Result<usize> {
    Ok(on!(conn, c => diesel::delete(instances::table.filter(instances::last_seen.lt(before))).execute(c))?)
}

/// Loads the processes, oldest first, `limit` at most.
pub async fn all(conn: &mut Conn, limit: i64) -> Result<Vec<Instance>> {
    let rows: Vec<(InstanceId, String, String, Timestamp, Timestamp)> = on!(conn, c => instances::table
        .order((instances::since, instances::id))
        .limit(limit)
        .load(c))?;
    let each = rows.into_iter();
    Ok(each
        .map(|(id, role, version, since, last_seen)| Instance { id, role, version, since, last_seen })
        .collect())
}
