//! Versions that run side by side, for operators who upgrade.

use super::prelude::*;
use crate::{
    domain::{Timestamp, ids::InstanceId, instance::Instance},
    http::examples,
    services::instances,
};

/// A process that reported itself within a day.
#[derive(Serialize, ToSchema)]
#[schema(as = Instance, examples(json!({
    "id": examples::INSTANCE, "role": "serve", "version": "0.1.0",
    "since": "2026-11-22T14:31:07.512345Z", "last_seen": "2026-11-22T15:02:21.907113Z",
})))]
struct InstanceView {
    /// The id, which is new at each start.
    id: InstanceId,
    /// `serve` or `work`.
    role: String,
    /// The version of the program.
    version: String,
    /// The time of its start.
    since: Timestamp,
    /// The time of its latest report. It reports every 10 s or sooner, and is removed from the list when it stops.
    last_seen: Timestamp,
}

impl From<Instance> for InstanceView {
    fn from(Instance { id, role, version, since, last_seen }: Instance) -> Self {
        Self { id, role, version, since, last_seen }
    }
}

/// Processes that were seen within a day.
#[derive(Serialize, ToSchema)]
#[schema(as = InstanceList, examples(json!({ "instances": [{
    "id": examples::INSTANCE, "role": "serve", "version": "0.1.0",
    "since": "2026-11-22T14:31:07.512345Z", "last_seen": "2026-11-22T15:02:21.907113Z",
}] })))]
struct InstancesView {
    /// At most 1,000, oldest first.
    instances: Vec<InstanceView>,
}

/// Lists the running processes
///
/// For admins.
#[utoipa::path(get, path = "/instances", operation_id = "list_instances", tag = "system", security(("token" = ["admin"])),
    responses((status = 200, description = "The processes.", body = InstancesView), ForToken, Unavailable))]
pub async fn list(app: Data<AppState>, Admin(_): Admin) -> Answer {
    let found = instances::list(&app.boards.store).await?;
    let instances = found.into_iter().map(InstanceView::from).collect();
    Ok(HttpResponse::Ok().json(InstancesView { instances }))
}
