//! Schemas of bodies that derives can't express: unions, read-only fields, and fields that count as absent.

use super::{fields, operations, reference};
use crate::domain::text::patterns::{blank, space};
use serde_json::{Value, json};
use std::{collections::BTreeSet, mem};

/// One of the schemas of a union: the object with all fields, of which it requires one and leaves out some. Generators of clients,
/// and people, can't use fragments that only add to a schema beside them.
struct Alternative(&'static str, &'static str, Required, Without);
type Required = &'static str;
type Without = &'static [&'static str];

/// Bodies that must have one of several fields, and the schemas of which they are the union.
const UNIONS: [(&str, [Alternative; 2]); 2] = [
    (
        "NewOrder",
        [
            Alternative("NewDrinkOrder", "An order of one drink.", "recipe", &["items"]),
            Alternative("NewItemsOrder", "An order of several drinks.", "items", &["recipe", "quantity"]),
        ],
    ),
    (
        "AccountChange",
        [
            Alternative("AccountRoleChange", "A change of an account's role.", "role", &[]),
            Alternative("AccountActiveChange", "A switch of an account on or off.", "active", &[]),
        ],
    ),
];

/// Completes the schemas of bodies.
pub fn complete(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    for (name, alternatives) in UNIONS {
        split(schemas, name, &alternatives);
    }
    add_read_only_fields(schemas);
    for (name, pattern, about) in [
        ("Blank", space(), "Text of nothing but spaces counts as absent, as null does."),
        ("BlankNote", blank(), "A note in which nothing is visible counts as absent, as null does."),
    ] {
        schemas[name] = json!({ "type": "string", "pattern": pattern, "description": about });
    }
    allow_blank_fields(document);
}

fn split(schemas: &mut Value, name: &str, alternatives: &[Alternative]) {
    let whole = schemas[name].take();
    for alternative in alternatives {
        schemas[alternative.0] = alternative.schema(whole.clone());
    }
    let references: Vec<_> = alternatives.iter().map(|Alternative(name, ..)| reference(name)).collect();
    schemas[name] = json!({
        "description": whole["description"], "anyOf": references, "examples": whole["examples"],
    });
}

impl Alternative {
    fn schema(&self, mut whole: Value) -> Value {
        let Self(_, about, required, without) = *self;
        whole["description"] = about.into();
        whole["required"] = json!([required]);
        refuse_null(&mut whole["properties"][required]);
        if let Some(properties) = whole["properties"].as_object_mut() {
            properties.retain(|name, _| !without.contains(&name.as_str()));
        }
        if let Some(examples) = whole["examples"].as_array_mut() {
            examples.retain(|example| example.get(required).is_some());
        }
        whole
    }
}

fn refuse_null(field: &mut Value) {
    if let Some(choices) = field["oneOf"].as_array() {
        *field = choices.iter().find(|choice| choice["type"] != "null").cloned().unwrap_or_default();
    } else {
        field["type"] = kind(&field["type"]).clone();
    }
}

/// Returns the type of a field that may be null: the first of `["KIND", "null"]`.
fn kind(types: &Value) -> &Value {
    types.get(0).unwrap_or(types)
}

/// Lets a recipe be replaced by what `GET` answers: the fields that only the bar sets are in the body, too.
fn add_read_only_fields(schemas: &mut Value) {
    let answered = schemas["Recipe"]["properties"].clone();
    let body = &mut schemas["RecipeReplacement"];
    if let (Some(properties), Value::Object(answered)) = (body["properties"].as_object_mut(), answered) {
        for (name, schema) in answered {
            let read_only = || json!({ "readOnly": true, "oneOf": [{ "type": "null" }, schema] });
            properties.entry(name).or_insert_with(read_only);
        }
    }
    let about = "The new contents of a recipe: as those of a new one, or as `GET` answers them. Fields that only the bar sets are \
                 ignored if they are unchanged, and refused otherwise.";
    body["description"] = about.into();
}

/// Lets every field of a body that may be left out be blank text as well as `null`: see [`crate::domain::json::Optional`].
fn allow_blank_fields(document: &mut Value) {
    let mut found = Vec::new();
    for (_, _, operation) in operations(document) {
        collect_references(&operation["requestBody"], &mut found);
    }
    let mut done = BTreeSet::new();
    while let Some(name) = found.pop() {
        let schema = &mut document["components"]["schemas"][&name];
        if done.insert(name) {
            collect_references(schema, &mut found);
            fields(schema.get_mut("properties")).for_each(|(_, property)| allow_blank(property));
        }
    }
}

/// Collects the names of the schemas that a value refers to.
fn collect_references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
            names.extend(name.map(str::to_owned));
            fields.values().for_each(|value| collect_references(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_references(value, names)),
        _ => {}
    }
}

/// Adds blank text to a property that may be null.
fn allow_blank(property: &mut Value) {
    let Some(property) = property.as_object_mut() else { return };
    // Not `oneOf`: to a client that does not look at formats an id may be empty, too.
    if let Some(Value::Array(mut choices)) = property.remove("oneOf") {
        // A description may be beside the reference.
        let is_note = choices.iter().any(|choice| choice["$ref"] == reference("Note")["$ref"]);
        choices.insert(1, reference(if is_note { "BlankNote" } else { "Blank" }));
        property.insert("anyOf".into(), choices.into());
    } else if property.get("type").is_some_and(Value::is_array) {
        property["type"] = kind(&property["type"]).clone();
        let about = property.remove("description");
        let choices = [json!({ "type": "null" }), reference("Blank"), Value::Object(mem::take(property))];
        property.insert("anyOf".into(), choices.into_iter().collect());
        property.extend(about.map(|about| ("description".to_owned(), about)));
    }
}
