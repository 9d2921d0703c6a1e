use super::{Timestamp, ids::InstanceId};

/// A process that reported itself to the database.
#[derive(Debug, Clone)]
pub struct Instance {
    pub id: InstanceId,
    pub role: String,
    pub version: String,
    pub since: Timestamp,
    pub last_seen: Timestamp,
}
