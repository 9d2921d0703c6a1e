//! The API's document (OpenAPI 3.1): written beside the handlers and types that it is about, put together in `routes.rs`, and
//! completed here by what utoipa's attributes can't say:
//!
//! - `bodies`: unions of whole schemas and values that count as absent, made from the schemas of many types;
//! - `events`: the stream of changes, whose events OpenAPI 3.1 has no place for;
//! - `links`: most of them belong to the order actions, which share a handler;
//! - `order_actions`: one handler for six operations;
//! - `responses`: references to headers, several problems of one status, and `allowEmptyValue`, for which utoipa has no type.

#![expect(
    clippy::indexing_slicing,
    reason = "by name, in the document's own objects, and null where there is no such name"
)]

mod bodies;
mod events;
mod examples;
mod links;
mod order_actions;
pub mod parameters;
pub mod problems;
mod responses;

pub use order_actions::{OrderCancellation, OrderFailure};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use utoipa::openapi::OpenApi;

pub const ABOUT: &str = "\
The order engine of a bar: guests order, bartenders work one queue, nothing that was accepted is lost or made twice.

- Bodies are JSON, in UTF-8, at most 64 KiB; unknown fields are refused. Times are UTC (RFC 3339), ids are UUIDs.
- Errors are problems (RFC 9457, `application/problem+json`). Their `type` never changes, and is the path of a page about it.
- `HEAD` works wherever `GET` does, and `OPTIONS` lists a resource's methods.
- Every response names the request in `X-Request-Id`: the value that the client sent (up to 64 letters, digits, `-_.:`), or a new one.
- Where requests are counted, `RateLimit-Policy` and `RateLimit` give the limits and the requests that are left.
- In a body `null` and `\"\"` count as absent wherever a field may be left out, whatever its type. A table may be a number.
- Lists come in pages. An empty query parameter counts as absent.
- A repeated `POST /orders` with the same `Idempotency-Key` places one order. Keys belong to the account that sends them.";

/// The parts of the document in the order that people read them in.
const PARTS: [&str; 6] = ["openapi", "info", "servers", "tags", "paths", "components"];

struct InOrder(Value);

impl Serialize for InOrder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(PARTS.map(|part| (part, self.0.get(part))))
    }
}

/// Completes a document, and returns its text.
pub fn complete_text(document: &OpenApi) -> String {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    order_actions::complete(&mut document);
    complete_security(&mut document);
    bodies::complete(&mut document);
    events::complete(&mut document);
    responses::complete(&mut document);
    links::complete(&mut document);
    let mut text = serde_json::to_string_pretty(&InOrder(document)).unwrap_or_default();
    text.push('\n');
    text
}

/// Describes the token, and states of operations without one that they need none: a client could not tell that from one that was
/// forgotten.
fn complete_security(document: &mut Value) {
    let token = "The `token` in the response of `POST /login`, `POST /register` and `POST /token/refresh`. Where an operation names a \
                 role, it needs that role or a higher one: customer, employee, admin.";
    document["components"]["securitySchemes"]["token"] =
        json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": token });
    for (_, _, operation) in operations(document).filter(|(_, _, operation)| operation["security"].is_null())
    {
        operation["security"] = json!([]);
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// The fields of an object.
fn fields(value: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    value.and_then(Value::as_object_mut).into_iter().flatten()
}

/// The operations of a document: path, method, and operation.
fn operations(document: &mut Value) -> impl Iterator<Item = (&str, &str, &mut Value)> {
    fields(document.get_mut("paths")).flat_map(|(path, item)| {
        fields(Some(item)).map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}
