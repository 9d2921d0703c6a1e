//! The document is complete, and the copy in the repository is current.

use super::{document, operations, resolved, schema::misfit, within};
use serde_json::Value;
use shakerqueue::http;
use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn the_copy_in_the_repository_is_up_to_date() {
    let copy = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let copy = fs::read_to_string(copy).unwrap_or_default();
    assert!(copy == http::document(), "docs/openapi.json is stale: make openapi");
}

#[test]
fn every_field_says_what_it_is() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut fields = 0;
    for (name, schema) in schemas {
        for (field, is) in schema["properties"].as_object().into_iter().flatten() {
            fields += 1;
            let choices =
                ["oneOf", "anyOf"].iter().flat_map(|list| is[list].as_array().into_iter().flatten());
            let said = [is].into_iter().chain(choices).any(|is| is["description"].is_string());
            assert!(said, "{name}.{field} has no description: {is}");
        }
    }
    assert!(fields > 50);
}

#[test]
fn every_parameter_and_every_header_says_what_it_is() {
    let document = document();
    for operation in operations(&document) {
        let parameters = operation.is["parameters"].as_array().into_iter().flatten();
        let responses = operation.is["responses"].as_object().unwrap().values();
        let headers = responses
            .flat_map(|response| resolved(&document, response)["headers"].as_object().unwrap().values());
        for one in parameters.chain(headers).map(|one| resolved(&document, one)) {
            assert!(one["description"].is_string(), "{} {}: {one}", operation.method, operation.path);
            assert!(one["schema"].is_object(), "{} {}: {one}", operation.method, operation.path);
        }
    }
}

#[test]
fn every_answer_has_an_example_that_shows_all_of_it() {
    let document = document();
    for operation in operations(&document) {
        for (status, response) in operation.is["responses"].as_object().unwrap() {
            let what = format!("{} {}: {status}", operation.method, operation.path);
            let response = resolved(&document, response);
            assert!(response["headers"]["X-Request-Id"].is_object(), "{what}");
            assert!(response["description"].as_str().is_some_and(|about| !about.is_empty()), "{what}");
            let Some(content) = response["content"].as_object() else { continue };
            let problems = content.contains_key("application/problem+json");
            let good = status.starts_with('2');
            assert!(problems || good || content.contains_key("application/json"), "{what}");
            for (kind, content) in content {
                match kind.as_str() {
                    "application/problem+json" => {
                        let examples = content["examples"].as_object().unwrap();
                        assert!(!examples.is_empty(), "{what}");
                        for (name, example) in examples {
                            let problem = &resolved(&document, example)["value"];
                            assert_eq!(problem["type"], format!("/problems/{name}"), "{what}");
                            assert_eq!(misfit(&document, &content["schema"], problem), None, "{name}");
                            assert!(
                                status == "default" || problem["status"].as_u64() == status.parse().ok(),
                                "{what}"
                            );
                        }
                    }
                    "application/json" if operation.path != "/openapi.json" => {
                        let schema = resolved(&document, &content["schema"]);
                        assert!(schema["examples"][0].is_object(), "{what} has no example");
                    }
                    _ => {}
                }
            }
        }
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in
        schemas.iter().filter(|(name, schema)| !schema["examples"].is_null() && is_answer(name, schema))
    {
        let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let shown = fields(&schema["examples"][0]);
        let unknown: Vec<_> = shown.difference(&fields(&schema["properties"])).cloned().collect();
        assert!(unknown.is_empty(), "the example of {name} has {unknown:?}");
        let missing: Vec<_> = fields(&schema["properties"]).difference(&shown).cloned().collect();
        assert!(missing.is_empty(), "the example of {name} lacks {missing:?}");
    }
}

/// Recognises objects of responses. Request bodies have rules of their own, and a problem has only its own fields.
fn is_answer(name: &str, schema: &Value) -> bool {
    schema["properties"].is_object() && schema["additionalProperties"].is_null() && name != "Problem"
}

#[test]
fn every_kind_of_problem_is_in_it() {
    let document = document();
    let said: BTreeSet<_> = operations(&document)
        .iter()
        .flat_map(|operation| within(&operation.is["responses"]))
        .filter_map(|value| value["$ref"].as_str())
        .filter_map(|reference| {
            reference
                .strip_prefix("#/components/examples/")
                .or_else(|| reference.strip_prefix("#/components/responses/"))
        })
        .map(str::to_owned)
        .collect();
    let all: BTreeSet<_> = document["components"]["examples"].as_object().unwrap().keys().cloned().collect();
    assert!(all.len() > 20);
    assert_eq!(said, all, "a kind of problem is said of no operation");
}
