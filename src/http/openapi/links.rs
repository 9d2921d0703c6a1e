//! Operations that a response leads to, by the id in its body.

use super::operations;
use serde_json::{Map, Value, json};

/// An operation, the id in its response, and the operations that take it as their `id`.
const LINKS: &[(&str, &str, &[&str])] = &[
    ("register", "/user/id", &["get_account", "change_account"]),
    ("list_accounts", "/users/0/id", &["get_account", "change_account"]),
    ("list_recipes", "/recipes/0/id", RECIPE),
    ("add_recipe", "/id", RECIPE),
    ("place_order", "/id", &["get_order", "get_history", "start_order", "cancel_order", "fail_order"]),
    ("list_orders", "/orders/0/id", &["get_order", "get_history"]),
    ("claim_order", "/id", &["ready_order", "fail_order", "undo_order"]),
    ("start_order", "/id", &["ready_order", "cancel_order", "fail_order", "undo_order"]),
    ("ready_order", "/id", &["complete_order", "fail_order", "undo_order"]),
    ("complete_order", "/id", &["get_history", "undo_order"]),
    ("cancel_order", "/id", &["get_history", "undo_order"]),
    ("fail_order", "/id", &["get_history", "undo_order"]),
    (
        "list_dead_letters",
        "/dead_letters/0/id",
        &["get_dead_letter", "replay_dead_letter", "discard_dead_letter"],
    ),
];
const RECIPE: &[&str] = &["get_recipe", "replace_recipe", "set_availability", "archive_recipe"];

/// Adds the links to the successful responses.
pub fn complete(document: &mut Value) {
    for (_, _, operation) in operations(document) {
        let link = LINKS.iter().find(|(from, ..)| operation["operationId"] == *from);
        let Some((_, id, to)) = link else { continue };
        let parameters = json!({ "id": format!("$response.body#{id}") });
        let link = |to: &&str| ((*to).to_owned(), json!({ "operationId": to, "parameters": parameters }));
        let links: Map<_, _> = to.iter().map(link).collect();
        for status in ["200", "201", "202"] {
            if let Some(response) = operation["responses"].get_mut(status) {
                response["links"] = links.clone().into();
            }
        }
    }
}
