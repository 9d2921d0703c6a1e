//! Rules for generators of clients: complete schemas with usable names, and no open ends.

use super::{document, operations, within};
use serde_json::Value;

const COMBINING_KEYWORDS: [&str; 3] = ["oneOf", "anyOf", "allOf"];

/// A name as it is written in Python.
fn in_snake_case(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// Recognises a schema without references.
fn is_whole(schema: &Value) -> bool {
    let combined = COMBINING_KEYWORDS.iter().any(|keyword| schema[keyword].is_array());
    let anything = schema.as_object().unwrap().keys().all(|keyword| keyword == "description");
    let said = schema["$ref"].is_string() || !schema["type"].is_null() || combined || anything;
    let is = |kind: &str| {
        let kinds = &schema["type"];
        kinds == kind || kinds.as_array().is_some_and(|kinds| kinds.iter().any(|each| each == kind))
    };
    said && (!is("array") || schema["items"].is_object())
        // Beside a union nothing else restricts what it may be.
        && (!combined || (schema["properties"].is_null() && schema["required"].is_null()))
}

#[test]
fn every_schema_is_whole() {
    let document = document();
    let mut schemas: Vec<_> = document["components"]["schemas"].as_object().unwrap().values().collect();
    schemas.extend(within(&document["paths"]).into_iter().filter_map(|value| value.get("schema")));
    let mut looked_at = 0;
    while let Some(schema) = schemas.pop() {
        looked_at += 1;
        assert!(is_whole(schema), "a fragment: {schema}");
        for keyword in COMBINING_KEYWORDS {
            let choices = schema[keyword].as_array();
            assert!(choices.is_none_or(|choices| choices.len() > 1), "a choice of one: {schema}");
            schemas.extend(choices.into_iter().flatten());
        }
        schemas.extend(schema["properties"].as_object().into_iter().flat_map(|fields| fields.values()));
        schemas.extend(schema.get("items"));
    }
    assert!(looked_at > 200, "{looked_at}");
}

#[test]
fn every_json_body_and_every_union_of_objects_has_names() {
    let document = document();
    for operation in operations(&document) {
        if let Some(body) = operation.body() {
            assert!(body["$ref"].is_string(), "{} {}: {body}", operation.method, operation.path);
        }
    }
    for value in within(&document) {
        for choice in
            COMBINING_KEYWORDS.iter().flat_map(|keyword| value[keyword].as_array().into_iter().flatten())
        {
            assert_ne!(choice["type"], "object", "without a name: {choice}");
        }
    }
}

#[test]
fn an_order_is_of_one_drink_or_of_several() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    for (union, alternatives) in [
        ("NewOrder", [("NewDrinkOrder", "recipe"), ("NewItemsOrder", "items")]),
        ("AccountChange", [("AccountRoleChange", "role"), ("AccountActiveChange", "active")]),
    ] {
        let references: Vec<_> =
            schemas[union]["anyOf"].as_array().unwrap().iter().map(|one| &one["$ref"]).collect();
        for (at, &(name, field)) in alternatives.iter().enumerate() {
            assert_eq!(references[at], &format!("#/components/schemas/{name}"));
            assert_eq!(schemas[name]["required"], serde_json::json!([field]));
            assert_eq!(schemas[name]["additionalProperties"], false);
            for (other, required) in alternatives.iter().filter(|_| union == "NewOrder") {
                assert_eq!(
                    schemas[name]["properties"][required].is_object(),
                    *other == name,
                    "{name}.{required}"
                );
            }
            let field = &schemas[name]["properties"][field];
            assert!(!within(field).iter().any(|value| **value == "null"), "{name}: {field}");
        }
    }
    assert_eq!(
        schemas["NewItemsOrder"]["properties"]["items"]["items"]["$ref"],
        "#/components/schemas/NewLine"
    );
}

#[test]
fn no_schema_has_the_name_of_one_of_its_fields() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        // Python's generator makes a variable of each.
        assert!(schema["properties"].get(in_snake_case(name)).is_none(), "{name} has a field of that name");
    }
}

#[test]
fn what_may_be_left_out_of_a_body_has_no_default() {
    // TypeScript's generator makes of a field with a default one that must be there.
    let document = document();
    for schema in document["components"]["schemas"].as_object().unwrap().values() {
        assert!(!within(&schema["properties"]).iter().any(|value| !value["default"].is_null()), "{schema}");
    }
}

#[test]
fn every_operation_says_whether_it_needs_a_token() {
    let document = document();
    let mut public = 0;
    for operation in operations(&document) {
        let security = operation.is["security"].as_array();
        let security = security.unwrap_or_else(|| panic!("{} {}", operation.method, operation.path));
        public += usize::from(security.is_empty());
        assert_eq!(
            security.is_empty(),
            operation.roles().is_none(),
            "{} {}",
            operation.method,
            operation.path
        );
    }
    assert!(public > 10, "{public}");
}

#[test]
fn every_component_is_used() {
    let document = document();
    let references: Vec<_> =
        within(&document).into_iter().filter_map(|value| value["$ref"].as_str()).collect();
    for (kind, components) in document["components"].as_object().unwrap() {
        for name in components.as_object().unwrap().keys().filter(|_| kind != "securitySchemes") {
            let reference = format!("#/components/{kind}/{name}");
            assert!(references.contains(&reference.as_str()), "{reference} is never used");
        }
    }
}

#[test]
fn every_pattern_is_one_without_flags_too() {
    // Beyond ASCII an expression means something else to readers who see units of UTF-16.
    let document = document();
    let mut patterns = 0;
    for pattern in within(&document).into_iter().filter_map(|value| value["pattern"].as_str()) {
        patterns += 1;
        assert!(pattern.is_ascii(), "{pattern}");
    }
    assert!(patterns > 5);
}
