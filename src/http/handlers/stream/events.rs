//! Events as they are sent.

use crate::{
    domain::{
        Timestamp,
        change_set::RecipeChange,
        ids::{OrderId, RecipeId},
        now,
    },
    http::{examples, responses::OrderView},
    services::feed::{OrderEvent, PendingMenu},
};
use serde::Serialize;
use std::{fmt::Write, time::Duration};
use utoipa::ToSchema;

/// Data of the event `hello`, the first one of every stream.
#[derive(Serialize, ToSchema)]
#[schema(as = HelloEvent, examples(json!({
    "server_time": "2026-11-22T15:02:26.088658Z", "heartbeat_seconds": 3, "feed": examples::FEED,
})))]
pub struct Hello<'a> {
    /// The time at the server.
    pub server_time: Timestamp,
    /// The time between two `lag` events. A stream without any event for a multiple of it is dead.
    #[schema(minimum = 1)]
    pub heartbeat_seconds: u64,
    /// The name of the feed: another one after a restored backup or a failover of the database.
    pub feed: &'a str,
}

/// Data of the event `lag`, the heartbeat of a stream.
#[derive(Serialize, ToSchema)]
#[schema(as = LagEvent, examples(json!({ "age_seconds": 0.213, "server_time": "2026-11-22T15:02:29.090114Z" })))]
pub struct Lag {
    /// The age of the oldest change that this stream may not have sent yet.
    #[schema(minimum = 0)]
    age_seconds: f64,
    /// The time at the server.
    server_time: Timestamp,
}

impl Lag {
    pub fn of(age: Duration) -> Self {
        // Milliseconds are all that it can mean.
        Self { age_seconds: (age.as_secs_f64() * 1000.0).round() / 1000.0, server_time: now() }
    }
}

/// Data of the event `unseen`: waiting orders that no open board has shown, or none any more. Staff hear of all, customers of their
/// own.
#[derive(Serialize, ToSchema)]
#[schema(as = UnseenEvent, examples(json!({ "orders": [examples::ORDER] })))]
pub struct Unseen {
    /// The ids of the orders, 200 at most.
    pub orders: Vec<OrderId>,
}

/// Data of the event `reset`, which has no fields: there were too many changes to send them, or the client's position is unknown.
/// Read the lists again.
#[derive(Serialize, ToSchema)]
#[schema(as = ResetEvent, examples(json!({})))]
pub struct Reset {}

/// Data of the event `bye`, the last one of a stream: the server stops, the access token has expired, or the caller's access
/// has changed.
#[derive(Serialize, ToSchema)]
#[schema(as = ByeEvent, examples(json!({ "retry_ms": 3120 })))]
pub struct Bye {
    /// The milliseconds to wait before the next stream. They differ from client to client.
    #[schema(minimum = 0)]
    pub retry_ms: u64,
}

#[derive(Serialize)]
struct OrderData {
    #[serde(flatten)]
    order: OrderView,
    version: i32,
}

/// Data of the event `menu`: drinks that changed.
#[derive(Serialize, ToSchema)]
#[schema(as = MenuEvent, examples(json!({
    "edition": "7", "changed": [{ "id": examples::DRINK, "available": false, "missing": [] }],
})))]
pub struct MenuData<'a> {
    /// The edition of the menu, which differs after each change.
    edition: &'a str,
    /// The drinks that are new, changed, or no longer on the menu.
    changed: Vec<RecipeData>,
}

/// A drink of the menu that changed.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedRecipe, examples(json!({ "id": examples::DRINK, "available": false, "missing": [] })))]
pub struct RecipeData {
    /// The id of the recipe.
    id: RecipeId,
    /// False when it is sold out, or no longer on the menu.
    available: bool,
    /// The ingredients that it lacks. Always empty in this version.
    missing: Vec<String>,
}

pub fn write(events: &mut String, name: &str, data: &impl Serialize) {
    // It consists of texts, numbers and ids, which JSON can always express.
    let data = serde_json::to_string(data).unwrap_or_default();
    let _ = write!(events, "event: {name}\ndata: {data}\n\n");
}

/// Appends the id up to which everything was sent.
pub fn write_id(events: &mut String, id: &str) {
    let _ = write!(events, "id: {id}\n\n");
}

pub fn write_menu(events: &mut String, menu: &PendingMenu) {
    let changed = menu.changed.iter().map(|RecipeChange { id, available }| RecipeData {
        id: *id,
        available: *available,
        missing: Vec::new(),
    });
    write(events, "menu", &MenuData { edition: &menu.edition, changed: changed.collect() });
}

/// Returns an order's event, which all streams share.
pub fn order(event: &OrderEvent) -> &str {
    event.encoded.get_or_init(|| {
        let mut text = String::new();
        let data = OrderData { order: event.order.clone().into(), version: event.order.version };
        write(&mut text, "order", &data);
        text
    })
}
