//! Bodies that must have one of several fields, as unions of whole schemas: those who make clients from the document (generators
//! as well as people) can't use fragments that only add to a schema beside them.

use serde_json::{Map, Value, json};

/// The unions: a schema, and what it may be.
const UNIONS: &[(&str, &[Alternative])] = &[
    (
        "NewOrder",
        &[
            Alternative {
                name: "NewDrinkOrder",
                about: "An order of one drink.",
                required: "recipe",
                without: &["items"],
            },
            Alternative {
                name: "NewItemsOrder",
                about: "An order of several drinks.",
                required: "items",
                without: &["recipe", "quantity"],
            },
        ],
    ),
    (
        "AccountChange",
        &[
            Alternative {
                name: "AccountRoleChange",
                about: "A change of what an account may do.",
                required: "role",
                without: &[],
            },
            Alternative {
                name: "AccountActiveChange",
                about: "A change of whether an account may do anything.",
                required: "active",
                without: &[],
            },
        ],
    ),
];

/// One of the schemas of a union: the object with all fields, of which it requires one and leaves out some.
struct Alternative {
    name: &'static str,
    about: &'static str,
    required: &'static str,
    without: &'static [&'static str],
}

/// Splits those schemas.
pub fn complete(document: &mut Value) {
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    let Some(schemas) = schemas else { return };
    for (name, alternatives) in UNIONS {
        let Some(Value::Object(mut fields)) = schemas.remove(*name) else { continue };
        let about = fields.remove("description");
        let examples = fields.remove("examples");
        for alternative in *alternatives {
            schemas.insert(alternative.name.into(), alternative.of(&fields, examples.as_ref()));
        }
        let references: Vec<_> = alternatives
            .iter()
            .map(|alternative| json!({ "$ref": format!("#/components/schemas/{}", alternative.name) }))
            .collect();
        schemas.insert(
            (*name).into(),
            json!({ "description": about, "anyOf": references, "examples": examples }),
        );
    }
}

impl Alternative {
    fn of(&self, fields: &Map<String, Value>, examples: Option<&Value>) -> Value {
        let mut schema = fields.clone();
        let examples = examples.and_then(Value::as_array).into_iter().flatten();
        let own: Vec<_> = examples.filter(|example| example.get(self.required).is_some()).cloned().collect();
        schema.insert("description".into(), self.about.into());
        schema.insert("examples".into(), own.into());
        schema.insert("required".into(), json!([self.required]));
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            if let Some(required) = properties.get_mut(self.required) {
                refuse_null(required);
            }
            properties.retain(|name, _| !self.without.contains(&name.as_str()));
        }
        schema.into()
    }
}

/// Takes `null` from what a field may be.
fn refuse_null(field: &mut Value) {
    if let Some(kind) = field.get_mut("type") {
        let not_null = kind.as_array().and_then(|kinds| kinds.iter().find(|kind| *kind != "null")).cloned();
        *kind = not_null.unwrap_or_else(|| kind.take());
    }
    if let Some(choices) = field.get_mut("oneOf").and_then(Value::as_array_mut) {
        let not_null = choices.iter().find(|choice| choice.get("type") != Some(&"null".into())).cloned();
        *field = not_null.unwrap_or_else(|| field.take());
    }
}
