//! Additions to the types of bodies: fields that count as absent, and fields that only the bar sets.

use super::fields;
use crate::domain::text::patterns::{blank, space};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The schema of text that counts as absent.
const BLANK: &str = "Blank";
/// The schema of text that counts as no note.
const BLANK_NOTE: &str = "BlankNote";

/// Adds it to the schemas.
pub fn complete(document: &mut Value) {
    read_only_fields(document);
    absent_values(document);
}

/// Lets a recipe be replaced by what `GET` answers: the fields that only the bar sets are in the body, too.
fn read_only_fields(document: &mut Value) {
    let answered = document.pointer(&pointer("Recipe")).and_then(|recipe| recipe.get("properties")).cloned();
    let Some(body) = document.pointer_mut(&pointer("RecipeReplacement")) else { return };
    if let (Some(properties), Some(Value::Object(answered))) =
        (body.get_mut("properties").and_then(Value::as_object_mut), answered)
    {
        for (name, schema) in answered {
            let read_only = || json!({ "readOnly": true, "oneOf": [{ "type": "null" }, schema] });
            properties.entry(name).or_insert_with(read_only);
        }
    }
    let about = "A drink in the place of another: as a new one, or as `GET` answers it. What only the bar sets is ignored where it \
                 is unchanged, and refused where it is not.";
    body.as_object_mut().map(|body| body.insert("description".into(), about.into()));
}

/// Lets every field of a body that may be left out be blank text as well as `null`: see [`crate::domain::json::Optional`].
fn absent_values(document: &mut Value) {
    let mut found = Vec::new();
    for (_, item) in fields(document.get_mut("paths")) {
        for (_, operation) in fields(Some(item)) {
            if let Some(body) = operation.pointer_mut("/requestBody/content/application~1json/schema") {
                allow_blank(body);
                refer(body, &mut found);
            }
        }
    }
    let mut done = BTreeSet::new();
    while let Some(name) = found.pop() {
        if done.insert(name.clone())
            && let Some(schema) = document.pointer_mut(&pointer(&name))
        {
            allow_blank(schema);
            refer(schema, &mut found);
        }
    }
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, pattern, about) in [
        (BLANK, space(), "Text of nothing but spaces counts as absent, as null does."),
        (BLANK_NOTE, blank(), "A note in which nothing is seen counts as absent, as null does."),
    ] {
        schemas.insert(name.into(), json!({ "type": "string", "pattern": pattern, "description": about }));
    }
}

/// A reference to what counts as absent beside these choices.
fn blank_beside(choices: &[Value]) -> Value {
    // A description may be beside it.
    let refers_to = |schema| choices.iter().any(|choice| choice.get("$ref") == reference(schema).get("$ref"));
    reference(if refers_to("Note") { BLANK_NOTE } else { BLANK })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#{}", pointer(schema)) })
}

fn pointer(schema: &str) -> String {
    format!("/components/schemas/{schema}")
}

/// Collects the names of the schemas that a value refers to.
fn refer(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
            names.extend(name.map(str::to_owned));
            fields.values().for_each(|value| refer(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| refer(value, names)),
        _ => {}
    }
}

/// Adds blank text to what the properties of an object may be that may be null.
fn allow_blank(object: &mut Value) {
    let null = json!({ "type": "null" });
    for (_, property) in fields(object.get_mut("properties")) {
        let Some(property) = property.as_object_mut() else { continue };
        if let Some(Value::Array(mut choices)) = property.remove("oneOf") {
            if choices.contains(&null) {
                // Not one of them exactly: to who does not look at formats an id may be empty, too.
                choices.insert(1, blank_beside(&choices));
                property.insert("anyOf".into(), choices.into());
            } else {
                property.insert("oneOf".into(), choices.into());
            }
        } else if let Some(Value::Array(types)) = property.get("type").cloned()
            && let [Value::String(kind)] =
                types.iter().filter(|kind| **kind != "null").cloned().collect::<Vec<_>>().as_slice()
            && types.len() > 1
        {
            let about = property.remove("description");
            property.insert("type".into(), kind.as_str().into());
            let choices = vec![null.clone(), reference(BLANK), Value::Object(std::mem::take(property))];
            property.insert("anyOf".into(), choices.into());
            property.extend(about.map(|about| ("description".to_owned(), about)));
        }
    }
}
