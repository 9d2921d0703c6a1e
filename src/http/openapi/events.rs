//! The stream of changes: its text has the media type of server-sent events, and each event's data a schema of its own.

use super::reference;
use crate::http::examples;
use serde_json::{Value, json};

/// The events of a stream, and the schemas of their data.
const EVENTS: [(&str, &str); 7] = [
    ("hello", "HelloEvent"),
    ("order", "OrderEvent"),
    ("menu", "MenuEvent"),
    ("unseen", "UnseenEvent"),
    ("lag", "LagEvent"),
    ("reset", "ResetEvent"),
    ("bye", "ByeEvent"),
];

/// Describes the data of events, as JSON Schema describes what is within a text (`contentSchema`).
pub fn complete(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    schemas["OrderEvent"] = order_event(&schemas["Order"]);
    let each: Vec<_> = EVENTS.iter().map(|(event, schema)| format!("`{event}`: `{schema}`")).collect();
    let about = format!(
        "Server-sent events. The schemas of their data, by name: {}. A line `id:` behind events is the position up to which the client \
         then has everything.",
        each.join(", "),
    );
    let references: Vec<_> = EVENTS.iter().map(|(_, schema)| reference(schema)).collect();
    let content =
        &mut document["paths"]["/stream"]["get"]["responses"]["200"]["content"]["text/event-stream"];
    content["schema"] = json!({
        "type": "string", "description": about,
        "contentMediaType": "text/event-stream", "contentSchema": { "anyOf": references },
    });
    content["example"] = example().into();
}

/// Returns the schema of an order's event: the order with its version. Generators of clients can't use fragments that only add to a
/// schema.
fn order_event(order: &Value) -> Value {
    let mut event = order.clone();
    event["description"] =
        "Data of the event `order`: an order that was placed or changed, as it is now.".into();
    event["properties"]["version"] = json!({
        "type": "integer", "format": "int32", "minimum": 1,
        "description": "The number of the order's latest transition. Ignore an event whose version you have.",
    });
    if let Some(required) = event["required"].as_array_mut() {
        required.push("version".into());
    }
    event["examples"][0]["version"] = 1.into();
    event
}

fn example() -> String {
    let mut order = examples::order();
    order["version"] = 1.into();
    format!("event: order\ndata: {order}\n\nid: {}\n\n", examples::CHANGES_CURSOR)
}
