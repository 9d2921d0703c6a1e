//! What holds for all answers, written into the document's JSON: its headers, and the problems that handlers only name.

use super::{examples, fields};
use crate::http::{
    extract::idempotency,
    middleware::{rate_limit::UNLIMITED_PATHS, response_memory::UNBOUNDED_PATHS},
    problem::types::{self, ProblemType},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Headers of answers: name, type of the value, whether an answer that knows it always has it, and what it says.
const HEADERS: &[(&str, &str, bool, &str)] = &[
    (
        REQUEST_ID,
        "string",
        true,
        "Names the request in the service's log: the client's own word, or a new one.",
    ),
    ("Allow", "string", false, "The methods that the resource has, where the request's is none of them."),
    (
        "ETag",
        "string",
        false,
        "Names this state of what is answered, for `If-Match` and `If-None-Match`. An order has none until it is stored.",
    ),
    (
        idempotency::REPLAYED,
        "string",
        false,
        "`true` where the answer is that of an earlier request under the same `Idempotency-Key`.",
    ),
    ("Link", "string", false, "Leads to the next page (RFC 8288, `rel=\"next\"`), if there is one."),
    ("Location", "string", true, "Where what was made can be read."),
    (
        "RateLimit",
        "string",
        false,
        "What is left of the limits that the request counted under: `\"ordering\";r=59;t=1`, the requests left, and the \
         seconds until there is one more.",
    ),
    (
        "RateLimit-Policy",
        "string",
        false,
        "Which limits these are: `\"ordering\";q=60;w=60`, requests in so many seconds.",
    ),
    ("Preference-Applied", "string", false, "The preference that was heeded (RFC 7240)."),
    ("Retry-After", "integer", true, "In how many seconds it is worth trying again."),
    ("WWW-Authenticate", "string", true, "How to sign in: `Bearer`."),
];
const REQUEST_ID: &str = "X-Request-Id";

/// Writes all of it into the document.
pub fn complete(document: &mut Value) {
    let components = document.get_mut("components").and_then(Value::as_object_mut);
    if let Some(components) = components {
        let schemas = components.entry("schemas").or_insert_with(|| json!({}));
        examples::of_answers(schemas);
        components.insert("examples".into(), examples::of_problems());
        components.insert("headers".into(), HEADERS.iter().map(header).collect::<Map<_, _>>().into());
        components.insert(
            "responses".into(),
            types::ALL.iter().map(|kind| (kind.name.into(), one(kind))).collect::<Map<_, _>>().into(),
        );
    }
    operations(document);
    remove_unused_responses(document);
}

fn operations(document: &mut Value) {
    for (path, item) in fields(document.get_mut("paths")) {
        let counted = !UNLIMITED_PATHS.contains(&path.as_str());
        let bounded = !UNBOUNDED_PATHS.contains(&path.as_str());
        for (method, operation) in fields(Some(item)) {
            for parameter in
                operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
            {
                if parameter.get("in") == Some(&"query".into())
                    && let Some(parameter) = parameter.as_object_mut()
                {
                    parameter.insert("allowEmptyValue".into(), true.into());
                }
            }
            answers(method, (counted, bounded), operation);
        }
    }
}

/// Problems that never are the only one of their status are written out where they are answered.
fn remove_unused_responses(document: &mut Value) {
    let paths = document.get("paths").map(Value::to_string).unwrap_or_default();
    if let Some(responses) = document.pointer_mut("/components/responses").and_then(Value::as_object_mut) {
        responses.retain(|name, _| paths.contains(&format!("\"#/components/responses/{name}\"")));
    }
}

fn header(&(name, kind, required, about): &(&str, &str, bool, &str)) -> (String, Value) {
    (name.into(), json!({ "description": about, "required": required, "schema": { "type": kind } }))
}

/// The answers of one operation, whose requests are counted, and whose answers need memory that there may not be.
fn answers(method: &str, (counted, bounded): (bool, bool), operation: &mut Value) {
    let needs_role = operation.pointer("/security/0/token/0").is_some();
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let mut kinds = vec![types::INTERNAL];
    if needs_role {
        kinds.push(types::NOT_PERMITTED);
    }
    if is_json(responses) {
        kinds.push(types::NOT_ACCEPTABLE);
    }
    if counted {
        kinds.push(types::TOO_MANY_REQUESTS);
    }
    if bounded {
        kinds.push(types::UNAVAILABLE);
    }
    responses.retain(|name, _| match name.split_once(' ') {
        Some((_, name)) => {
            kinds.extend(types::ALL.iter().filter(|kind| kind.name == name));
            false
        }
        None => true,
    });
    // Looking changes nothing: it can be done again.
    kinds.retain(|kind| method != "get" || kind.name != types::OUTCOME_UNKNOWN.name);
    let mut by_status = BTreeMap::<&str, Vec<&ProblemType>>::new();
    for kind in kinds {
        let same = by_status.entry(kind.status.as_str()).or_default();
        if !same.iter().any(|known| known.name == kind.name) {
            same.push(kind);
        }
    }
    for (status, kinds) in by_status {
        let answer = match kinds.as_slice() {
            [kind] => json!({ "$ref": format!("#/components/responses/{}", kind.name) }),
            several => problem(several),
        };
        responses.insert(status.into(), answer);
    }
    responses.insert("default".into(), other());
    for (_, response) in responses.iter_mut().filter(|(_, response)| response.get("$ref").is_none()) {
        refer_to_headers(response, counted);
    }
}

/// Pages for people are sent whatever the client accepts.
fn is_json(responses: &Map<String, Value>) -> bool {
    let kinds = responses.values().filter_map(|response| response.get("content")?.as_object());
    !kinds.flat_map(Map::keys).any(|kind| kind.starts_with("text/"))
}

/// An answer that is always a problem of this kind.
fn one(kind: &ProblemType) -> Value {
    let mut answer = problem(&[kind]);
    // On a path that is not counted it comes without: these headers need not be there.
    refer_to_headers(&mut answer, true);
    answer
}

/// What no operation is about: a method that a resource does not have, a request that breaks a rule of HTTP.
fn other() -> Value {
    let mut other = problem(&[
        types::METHOD_NOT_ALLOWED,
        types::REQUEST_REFUSED,
        types::URI_TOO_LONG,
        types::HEAD_TOO_LARGE,
    ]);
    if let Some(other) = other.as_object_mut() {
        other.insert("description".into(), "Any other problem.".into());
        other.insert("headers".into(), json!({ "Allow": {} }));
    }
    other
}

fn problem(kinds: &[&ProblemType]) -> Value {
    let about: Vec<_> = kinds.iter().map(|kind| format!("`{}`: {}", kind.name, kind.about)).collect();
    let examples: Map<_, _> = kinds
        .iter()
        .map(|kind| (kind.name.into(), json!({ "$ref": format!("#/components/examples/{}", kind.name) })))
        .collect();
    let headers = match kinds.first().map_or(0, |kind| kind.status.as_u16()) {
        401 => json!({ "WWW-Authenticate": {} }),
        412 => json!({ "ETag": {} }),
        429 | 503 => json!({ "Retry-After": {} }),
        _ => json!({}),
    };
    json!({
        "description": about.join("\n\n"),
        "headers": headers,
        "content": { "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "examples": examples,
        } },
    })
}

/// Handlers only name the headers that their answers have; what all of them have nobody needs to name.
fn refer_to_headers(response: &mut Value, counted: bool) {
    let Some(response) = response.as_object_mut() else { return };
    let headers = response.entry("headers").or_insert_with(|| json!({}));
    let Some(headers) = headers.as_object_mut() else { return };
    headers.insert(REQUEST_ID.into(), Value::Null);
    if counted {
        headers.extend(["RateLimit", "RateLimit-Policy"].map(|name| (name.to_owned(), Value::Null)));
    }
    for (name, header) in headers {
        if HEADERS.iter().any(|(known, ..)| known == name) {
            *header = json!({ "$ref": format!("#/components/headers/{name}") });
        }
    }
}
