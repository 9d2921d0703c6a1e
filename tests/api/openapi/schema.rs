//! A JSON Schema validator for the keywords of our document. It panics on others.

use super::resolved;
use chrono::DateTime;
use regex::Regex;
use serde_json::Value;
use uuid::Uuid;

/// Keywords that describe, or that other tests check.
const DESCRIPTIVE_KEYWORDS: &[&str] = &[
    "description",
    "examples",
    "default",
    "writeOnly",
    "readOnly",
    "title",
    "properties",
    "contentMediaType",
    "contentSchema",
];

/// Returns the first difference between a value and the schema.
pub fn misfit(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let schema = resolved(document, schema);
    schema
        .as_object()
        .unwrap()
        .iter()
        .find_map(|(keyword, says)| {
            broken(document, schema, keyword, says, value).then(|| format!("{keyword} is {says}: {value}"))
        })
        .or_else(|| {
            // Whatever it is within, the innermost misfit says the most.
            let fields = value.as_object()?;
            fields.iter().find_map(|(name, value)| {
                let inner = misfit(document, schema["properties"].get(name)?, value)?;
                Some(format!("{name}: {inner}"))
            })
        })
}

fn broken(document: &Value, schema: &Value, keyword: &str, says: &Value, value: &Value) -> bool {
    let fitting = |schemas: &Value| {
        let schemas = schemas.as_array().unwrap();
        schemas.iter().filter(|schema| misfit(document, schema, value).is_none()).count()
    };
    let length = value.as_str().map(|text| size(text.chars().count()));
    let items = value.as_array().map(|items| size(items.len()));
    let bound = says.as_f64();
    let over = |size: Option<f64>| size.is_some_and(|size| size > bound.unwrap());
    let under = |size: Option<f64>| size.is_some_and(|size| size < bound.unwrap());
    match keyword {
        "type" => !is_one(says, value),
        "enum" => !says.as_array().unwrap().contains(value),
        "oneOf" => fitting(says) != 1,
        "anyOf" => fitting(says) == 0,
        "required" => value.as_object().is_some_and(|fields| {
            says.as_array().unwrap().iter().any(|name| !fields.contains_key(name.as_str().unwrap()))
        }),
        "additionalProperties" => {
            assert_eq!(says, false);
            value
                .as_object()
                .is_some_and(|fields| fields.keys().any(|name| schema["properties"].get(name).is_none()))
        }
        "items" => value
            .as_array()
            .is_some_and(|items| items.iter().any(|item| misfit(document, says, item).is_some())),
        "minItems" => under(items),
        "maxItems" => over(items),
        "minLength" => under(length),
        "maxLength" => over(length),
        "minimum" => under(value.as_f64()),
        "maximum" => over(value.as_f64()),
        "exclusiveMinimum" => value.as_f64().is_some_and(|number| number <= bound.unwrap()),
        "pattern" => {
            value.as_str().is_some_and(|text| !Regex::new(says.as_str().unwrap()).unwrap().is_match(text))
        }
        "format" => value.as_str().is_some_and(|text| !is_formatted(says.as_str().unwrap(), text)),
        _ => {
            assert!(DESCRIPTIVE_KEYWORDS.contains(&keyword), "this test does not know {keyword}");
            false
        }
    }
}

fn size(number: usize) -> f64 {
    u32::try_from(number).unwrap().into()
}

fn is_one(types: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type {other}"),
    };
    types.as_array().map_or_else(|| is(types), |types| types.iter().any(is))
}

fn is_formatted(format: &str, text: &str) -> bool {
    match format {
        "uuid" => Uuid::try_parse(text).is_ok(),
        "date-time" => DateTime::parse_from_rfc3339(text).is_ok_and(|_| text.ends_with('Z')),
        "email" => text.contains('@'),
        // Of numbers, which a text is none of.
        "password" | "int32" => true,
        other => panic!("this test does not know the format {other}"),
    }
}
