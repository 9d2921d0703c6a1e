//! Headers and problems of all responses, written into the document's JSON: handlers only name them.

use super::{examples, fields, operations};
use crate::http::{
    changes_cursor,
    extract::idempotency,
    middleware::{rate_limit::UNLIMITED_PATHS, response_memory::UNBOUNDED_PATHS},
    problem::types::{self, ProblemType},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const REQUEST_ID: &str = "X-Request-Id";

/// Headers of responses. A `required` one is in every response that lists it.
fn headers() -> Value {
    let header = |kind: &str, required: bool, about: &str| json!({ "description": about, "required": required, "schema": { "type": kind } });
    let required = |about| header("string", true, about);
    let optional = |about| header("string", false, about);
    json!({
        REQUEST_ID: required("The name of the request in the service's log: the value that the client sent, or a new one."),
        changes_cursor::HEADER: required(
            "The position in the feed of changes before this was read: pass it as `Last-Event-ID` to `GET /stream` to get what changes \
             from then on. Of a list with several pages take that of the first one."
        ),
        "Allow": optional("The methods of the resource, where the request's is none of them."),
        "ETag": optional("The version of what is answered, for `If-Match` and `If-None-Match`. An order has none until it is stored."),
        idempotency::REPLAYED: optional("`true` where the response is that of an earlier request under the same `Idempotency-Key`."),
        "Link": optional("The next page (RFC 8288, `rel=\"next\"`), if there is one."),
        "Location": required("The path at which the new resource can be read."),
        "RateLimit": optional(
            "The state of the limits that the request counted under: `\"ordering\";r=59;t=1`, the requests left, and the seconds until \
             there is one more."
        ),
        "RateLimit-Policy": optional("The limits that the request counted under: `\"ordering\";q=60;w=60`, requests in so many seconds."),
        "Preference-Applied": optional("The preference that was applied (RFC 7240)."),
        "Retry-After": header("integer", true, "The seconds after which it is worth trying again."),
        "WWW-Authenticate": required("The way to sign in: `Bearer`."),
    })
}

/// Writes all of it into the document.
pub fn complete(document: &mut Value) {
    let components = &mut document["components"];
    components["examples"] = examples::of_problems();
    components["schemas"]["Problem"]["examples"] = json!([examples::problem(types::INVALID)]);
    components["headers"] = headers();
    let responses = types::ALL.iter().map(|kind| (kind.name.into(), response_of(kind)));
    // Not `oneOf`: an order has all the fields of an unstored one.
    let either = &mut components["schemas"]["OrderStanding"];
    *either = json!({ "anyOf": either["oneOf"], "examples": either["examples"] });
    components["responses"] = responses.collect::<Map<_, _>>().into();
    for (path, method, operation) in operations(document) {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten().filter(|parameter| parameter["in"] == "query") {
            parameter["allowEmptyValue"] = true.into();
        }
        let (counted, bounded) = (!UNLIMITED_PATHS.contains(&path), !UNBOUNDED_PATHS.contains(&path));
        complete_operation(operation, method, counted, bounded);
    }
    remove_unused_responses(document);
}

/// Problems that never are the only one of their status are written out in each operation.
fn remove_unused_responses(document: &mut Value) {
    let paths = document.get("paths").map(Value::to_string).unwrap_or_default();
    if let Some(responses) = document.pointer_mut("/components/responses").and_then(Value::as_object_mut) {
        responses.retain(|name, _| paths.contains(&format!("\"#/components/responses/{name}\"")));
    }
}

/// Completes the responses of one operation. Its requests may be counted, and the memory of its responses bounded.
fn complete_operation(operation: &mut Value, method: &str, counted: bool, bounded: bool) {
    let needs_role = operation.pointer("/security/0/token/0").is_some();
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let mut kinds = vec![types::INTERNAL];
    kinds.extend(needs_role.then_some(types::NOT_PERMITTED));
    kinds.extend(is_json(responses).then_some(types::NOT_ACCEPTABLE));
    kinds.extend(counted.then_some(types::TOO_MANY_REQUESTS));
    kinds.extend(bounded.then_some(types::UNAVAILABLE));
    responses.retain(|key, _| {
        let Some((_, named)) = key.split_once(' ') else { return true };
        kinds.extend(types::ALL.iter().filter(|kind| kind.name == named));
        false
    });
    // A request that changes nothing can be repeated.
    kinds.retain(|kind| method != "get" || kind.name != types::OUTCOME_UNKNOWN.name);
    let mut by_status = BTreeMap::<&str, Vec<&ProblemType>>::new();
    for kind in kinds {
        let same = by_status.entry(kind.status.as_str()).or_default();
        if !same.iter().any(|known| known.name == kind.name) {
            same.push(kind);
        }
    }
    for (status, kinds) in by_status {
        let response = match kinds.as_slice() {
            [kind] => json!({ "$ref": format!("#/components/responses/{}", kind.name) }),
            several => problem(several),
        };
        responses.insert(status.into(), response);
    }
    responses.insert("default".into(), other());
    for (_, response) in responses.iter_mut().filter(|(_, response)| response.get("$ref").is_none()) {
        refer_to_headers(response, counted);
    }
}

/// Pages for people are sent whatever the client accepts.
fn is_json(responses: &Map<String, Value>) -> bool {
    let media_types = responses.values().filter_map(|response| response.get("content")?.as_object());
    !media_types.flat_map(Map::keys).any(|media_type| media_type.starts_with("text/"))
}

fn response_of(kind: &ProblemType) -> Value {
    let mut response = problem(&[kind]);
    // On a path that is not counted it comes without the limits' headers: they are not required.
    refer_to_headers(&mut response, true);
    response
}

/// Problems of no operation: a method that a resource does not have, a request that breaks a rule of HTTP.
fn other() -> Value {
    let mut other = problem(&[
        types::METHOD_NOT_ALLOWED,
        types::REQUEST_REFUSED,
        types::URI_TOO_LONG,
        types::HEAD_TOO_LARGE,
    ]);
    other["description"] = "Any other problem.".into();
    other["headers"] = json!({ "Allow": {} });
    other
}

fn problem(kinds: &[&ProblemType]) -> Value {
    let about: Vec<_> = kinds.iter().map(|kind| format!("`{}`: {}", kind.name, kind.about)).collect();
    let example = |name| json!({ "$ref": format!("#/components/examples/{name}") });
    let examples: Map<_, _> = kinds.iter().map(|kind| (kind.name.into(), example(kind.name))).collect();
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

/// Refers to the headers that a response names, and adds those that all responses have.
fn refer_to_headers(response: &mut Value, counted: bool) {
    let headers = &mut response["headers"];
    headers[REQUEST_ID] = Value::Null;
    if counted {
        headers["RateLimit"] = Value::Null;
        headers["RateLimit-Policy"] = Value::Null;
    }
    for (name, header) in fields(Some(headers)) {
        *header = json!({ "$ref": format!("#/components/headers/{name}") });
    }
}
