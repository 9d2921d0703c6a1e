//! Which operation an answer leads to, and with what of it.

use super::fields;
use serde_json::{Value, json};

/// An operation, what to do with what it answered, and where in the answer the other operation's parameter is.
const LINKS: &[(&str, &[&str], &str, &str)] = &[
    ("register", &["get_account", "change_account"], "id", "/user/id"),
    ("list_accounts", &["get_account", "change_account"], "id", "/users/0/id"),
    (
        "list_recipes",
        &["get_recipe", "replace_recipe", "set_availability", "archive_recipe"],
        "id",
        "/recipes/0/id",
    ),
    ("add_recipe", &["get_recipe", "replace_recipe", "set_availability", "archive_recipe"], "id", "/id"),
    ("place_order", &["get_order", "get_history", "start_order", "cancel_order", "fail_order"], "id", "/id"),
    ("list_orders", &["get_order", "get_history"], "id", "/orders/0/id"),
    ("claim_order", &["ready_order", "fail_order", "undo_order"], "id", "/id"),
    ("start_order", &["ready_order", "cancel_order", "fail_order", "undo_order"], "id", "/id"),
    ("ready_order", &["complete_order", "fail_order", "undo_order"], "id", "/id"),
    ("complete_order", &["get_history", "undo_order"], "id", "/id"),
    ("cancel_order", &["get_history", "undo_order"], "id", "/id"),
    ("fail_order", &["get_history", "undo_order"], "id", "/id"),
    (
        "list_dead_letters",
        &["get_dead_letter", "replay_dead_letter", "discard_dead_letter"],
        "id",
        "/dead_letters/0/id",
    ),
];

/// Writes them into the document.
pub fn complete(document: &mut Value) {
    for (_, item) in fields(document.get_mut("paths")) {
        for (_, operation) in fields(Some(item)) {
            let links: serde_json::Map<_, _> = LINKS
                .iter()
                .filter(|(from, ..)| operation.get("operationId") == Some(&Value::from(*from)))
                .flat_map(|(_, to, parameter, place)| {
                    to.iter().map(move |to| {
                        let parameters = json!({ *parameter: format!("$response.body#{place}") });
                        ((*to).to_owned(), json!({ "operationId": to, "parameters": parameters }))
                    })
                })
                .collect();
            if links.is_empty() {
                continue;
            }
            for (status, response) in fields(operation.get_mut("responses")) {
                if status.starts_with('2')
                    && status != "204"
                    && let Some(response) = response.as_object_mut()
                {
                    response.insert("links".into(), links.clone().into());
                }
            }
        }
    }
}
