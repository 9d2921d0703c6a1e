//! The order actions: one handler, and a path each in the document, because they differ in their bodies and roles.

use super::reference;
use crate::domain::{order_state::OrderAction, text::Note};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// The path of the handler.
const ANY: &str = "/orders/{id}/{move}";

/// The reason why an order is cancelled.
#[derive(ToSchema)]
#[schema(examples(json!({ "reason": "We are out of limes." })))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema: the handler reads both bodies as one type")]
pub struct OrderCancellation {
    /// The reason, for the guest.
    reason: Option<Note>,
}

/// The reason why an order can't be made.
#[derive(ToSchema)]
#[schema(examples(json!({ "reason": "We are out of limes." })))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema: the handler reads both bodies as one type")]
pub struct OrderFailure {
    /// The reason, for the guest.
    reason: Note,
}

/// Replaces the path of any action by one for each.
pub fn complete(document: &mut Value) {
    let paths = &mut document["paths"];
    let Some(any) = paths.as_object_mut().and_then(|paths| paths.remove(ANY)) else { return };
    for &action in OrderAction::ALL {
        let mut item = any.clone();
        describe(&mut item["post"], action);
        paths[ANY.replace("{move}", action.as_str())] = item;
    }
}

fn describe(operation: &mut Value, action: OrderAction) {
    let (summary, body) = match action {
        OrderAction::Start => ("A bartender takes the order", None),
        OrderAction::Ready => ("The order is made", None),
        OrderAction::Complete => ("The order is collected", None),
        OrderAction::Cancel => (
            "Cancels the order: staff, or its guest while it is pending",
            Some((OrderCancellation::name(), false)),
        ),
        OrderAction::Fail => ("The order can't be made", Some((OrderFailure::name(), true))),
        OrderAction::Undo => ("Takes back the last action", None),
    };
    operation["operationId"] = format!("{action}_order").into();
    operation["summary"] = summary.into();
    if let Some((schema, required)) = body {
        let content = json!({ "application/json": { "schema": reference(&schema) } });
        operation["requestBody"] = json!({ "content": content, "required": required });
    }
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.retain(|parameter| parameter["name"] != "move");
    }
    if action != OrderAction::Cancel {
        operation["security"] = json!([{ "token": ["employee"] }]);
    }
}
