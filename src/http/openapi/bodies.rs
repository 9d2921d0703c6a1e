//! What a body must have, where that depends on what else it has.

use serde_json::{Value, json};

/// Adds it to the schemas.
pub fn complete(document: &mut Value) {
    let one = json!({ "required": ["recipe"], "properties": { "recipe": { "type": "string" }, "items": { "type": "null" } } });
    let several = json!({ "required": ["items"],
        "properties": { "items": { "type": "array" }, "recipe": { "type": "null" }, "quantity": { "type": "null" } } });
    let role = json!({ "required": ["role"], "properties": { "role": { "type": "string" } } });
    let active = json!({ "required": ["active"], "properties": { "active": { "type": "boolean" } } });
    for (schema, keyword, choices) in
        [("NewOrder", "oneOf", json!([one, several])), ("AccountChange", "anyOf", json!([role, active]))]
    {
        let schema =
            document.pointer_mut(&format!("/components/schemas/{schema}")).and_then(Value::as_object_mut);
        schema.map(|schema| schema.insert(keyword.into(), choices));
    }
}
