//! Schemas of bodies that derives can't express: unions, read-only fields, and fields that count as absent.

use super::{fields, operations};
use crate::domain::text::patterns::{blank, space};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

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
    for (name, alternatives) in UNIONS {
        split(document, name, &alternatives);
    }
    add_read_only_fields(document);
    allow_blank_fields(document);
}

fn schemas(document: &mut Value) -> Option<&mut Map<String, Value>> {
    document.pointer_mut("/components/schemas").and_then(Value::as_object_mut)
}

fn split(document: &mut Value, name: &str, alternatives: &[Alternative]) {
    let Some(schemas) = schemas(document) else { return };
    let Some(Value::Object(mut whole)) = schemas.remove(name) else { return };
    let (about, examples) = (whole.remove("description"), whole.remove("examples"));
    let references: Vec<_> = alternatives.iter().map(|Alternative(name, ..)| reference(name)).collect();
    for alternative in alternatives {
        schemas.insert(alternative.0.into(), alternative.schema(whole.clone(), examples.as_ref()));
    }
    schemas.insert(name.into(), json!({ "description": about, "anyOf": references, "examples": examples }));
}

impl Alternative {
    fn schema(&self, mut whole: Map<String, Value>, examples: Option<&Value>) -> Value {
        let Self(_, about, required, without) = *self;
        let examples = examples.and_then(Value::as_array).into_iter().flatten();
        let own: Vec<_> = examples.filter(|example| example.get(required).is_some()).collect();
        whole.insert("description".into(), about.into());
        whole.insert("examples".into(), json!(own));
        whole.insert("required".into(), json!([required]));
        if let Some(properties) = whole.get_mut("properties").and_then(Value::as_object_mut) {
            properties.get_mut(required).map(refuse_null);
            properties.retain(|name, _| !without.contains(&name.as_str()));
        }
        whole.into()
    }
}

fn refuse_null(field: &mut Value) {
    if let Some(kind) = field.get_mut("type") {
        let not_null = kind.as_array().and_then(|kinds| kinds.iter().find(|kind| *kind != "null")).cloned();
        *kind = not_null.unwrap_or_else(|| kind.take());
    }
    if let Some(choices) = field.get("oneOf").and_then(Value::as_array) {
        let not_null = choices.iter().find(|choice| choice.get("type") != Some(&"null".into())).cloned();
        *field = not_null.unwrap_or_else(|| field.take());
    }
}

/// Lets a recipe be replaced by what `GET` answers: the fields that only the bar sets are in the body, too.
fn add_read_only_fields(document: &mut Value) {
    let answered = document.pointer(&format!("{}/properties", pointer("Recipe"))).cloned();
    let Some(body) = document.pointer_mut(&pointer("RecipeReplacement")).and_then(Value::as_object_mut)
    else {
        return;
    };
    if let (Some(Value::Object(properties)), Some(Value::Object(answered))) =
        (body.get_mut("properties"), answered)
    {
        for (name, schema) in answered {
            let read_only = || json!({ "readOnly": true, "oneOf": [{ "type": "null" }, schema] });
            properties.entry(name).or_insert_with(read_only);
        }
    }
    let about = "The new contents of a recipe: as those of a new one, or as `GET` answers them. Fields that only the bar sets are \
                 ignored if they are unchanged, and refused otherwise.";
    body.insert("description".into(), about.into());
}

/// Lets every field of a body that may be left out be blank text as well as `null`: see [`crate::domain::json::Optional`].
fn allow_blank_fields(document: &mut Value) {
    let mut found = Vec::new();
    for (_, _, operation) in operations(document) {
        if let Some(body) = operation.pointer_mut("/requestBody/content/application~1json/schema") {
            allow_blank(body);
            collect_references(body, &mut found);
        }
    }
    let mut done = BTreeSet::new();
    while let Some(name) = found.pop() {
        if let Some(schema) = document.pointer_mut(&pointer(&name))
            && done.insert(name)
        {
            allow_blank(schema);
            collect_references(schema, &mut found);
        }
    }
    let Some(schemas) = schemas(document) else { return };
    for (name, pattern, about) in [
        ("Blank", space(), "Text of nothing but spaces counts as absent, as null does."),
        ("BlankNote", blank(), "A note in which nothing is visible counts as absent, as null does."),
    ] {
        schemas.insert(name.into(), json!({ "type": "string", "pattern": pattern, "description": about }));
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#{}", pointer(schema)) })
}

fn pointer(schema: &str) -> String {
    format!("/components/schemas/{schema}")
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

/// Adds blank text to the properties of an object that may be null.
fn allow_blank(object: &mut Value) {
    let null = json!({ "type": "null" });
    for (_, property) in fields(object.get_mut("properties")) {
        let Some(property) = property.as_object_mut() else { continue };
        if let Some(choices) = property.get_mut("oneOf").and_then(Value::as_array_mut) {
            if choices.contains(&null) {
                // A description may be beside the reference.
                let is_note = |choice: &Value| choice.get("$ref") == reference("Note").get("$ref");
                let blank = if choices.iter().any(is_note) { "BlankNote" } else { "Blank" };
                choices.insert(1, reference(blank));
                // Not `oneOf`: to a client that does not look at formats an id may be empty, too.
                let choices = property.remove("oneOf");
                property.extend(choices.map(|choices| ("anyOf".to_owned(), choices)));
            }
        } else if let Some(Value::Array(types)) = property.get("type")
            && let [Value::String(kind)] =
                types.iter().filter(|kind| **kind != "null").collect::<Vec<_>>().as_slice()
            && types.len() > 1
        {
            let (kind, about) = (kind.clone(), property.remove("description"));
            property.insert("type".into(), kind.into());
            let choices = [null.clone(), reference("Blank"), Value::Object(std::mem::take(property))];
            property.insert("anyOf".into(), choices.into_iter().collect());
            property.extend(about.map(|about| ("description".to_owned(), about)));
        }
    }
}
