//! Running processes, which report themselves to the database.

use crate::{
    domain::{ids::InstanceId, instance::Instance, now},
    services::DatabaseError,
    store::{Store, instances},
    util::backoff::jittered,
};
use chrono::TimeDelta;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const REPORT_INTERVAL: Duration = Duration::from_secs(10);
const RETENTION: TimeDelta = TimeDelta::days(1);
const MAX_LISTED: i64 = 1000;
/// Time that a process which stops has to remove its row.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Reports this process until `stop`, and then removes it from the list.
pub async fn keep_reporting(store: Store, role: &'static str, stop: CancellationToken) {
    let since = now();
    let id = InstanceId::new_v7();
    loop {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let instance = Instance { id, role: role.to_owned(), version, since, last_seen: now() };
        let reported = store
            .write_idempotent(async move |conn| {
                instances::renew(conn, &instance).await?;
                instances::forget(conn, instance.last_seen - RETENTION).await
            })
            .await;
        if let Err(error) = reported {
            tracing::debug!(%error, "failed to report this process to the database");
        }
        if stop.run_until_cancelled(sleep(jittered(REPORT_INTERVAL))).await.is_none() {
            break;
        }
    }
    let removing = store.write_idempotent(async move |conn| instances::remove(conn, id).await);
    if !matches!(timeout(REMOVE_TIMEOUT, removing).await, Ok(Ok(()))) {
        tracing::debug!("failed to remove this process from the database");
    }
}

/// Loads the processes that reported themselves within a day, oldest first.
pub async fn list(store: &Store) -> Result<Vec<Instance>, DatabaseError> {
    Ok(store.read(async |conn| instances::all(conn, MAX_LISTED).await).await?)
}
