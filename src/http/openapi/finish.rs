//! What is the same everywhere in the document.

use serde::Serialize;
use serde_json::Value;
use utoipa::{
    Modify,
    openapi::{
        OpenApi, PathItem,
        path::Operation,
        security::{Http, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// What holds for every operation.
pub const ABOUT: &str = "\
The order engine of a bar: guests order, bartenders work one queue, nothing that was accepted is lost or made twice.

- Bodies are JSON, in UTF-8, at most 64 KiB; unknown fields are refused. Times are UTC (RFC 3339), ids are UUIDs.
- Errors are problems (RFC 9457, `application/problem+json`). Their `type` stays the same for good, and is the path of a page about it.
- `HEAD` works wherever `GET` does, and `OPTIONS` lists a resource's methods.
- Every answer names the request in `X-Request-Id`: with the client's own word if it sends one (up to 64 letters, digits, `-_.:`).
- Where requests are counted, `RateLimit-Policy` and `RateLimit` tell what may be asked for and what is left of it.
- In a body `null` and `\"\"` count as absent wherever a field may be left out, whatever its type. A table may be a number.
- Lists come in pages. An empty parameter in a query counts as none.
- A repeated `POST /orders` with the same `Idempotency-Key` is one order. Keys count for the account that sends them.";

/// Adds what operations refer to: the token.
pub struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(token()));
    }
}

fn token() -> Http {
    HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "The `token` that `POST /login`, `POST /register` and `POST /token/refresh` answer with. Where an operation names a role, it needs \
             that one or a higher: customer, employee, admin.",
        ))
        .build()
}

/// Makes titles of the handlers' comments: these begin with the route, which the document shows anyway.
pub struct Summaries;

impl Modify for Summaries {
    fn modify(&self, document: &mut OpenApi) {
        document.paths.paths.values_mut().flat_map(operations).for_each(summarise);
    }
}

/// Says of operations without a token that they need none: a client could not tell that from one that was forgotten.
pub struct Public;

impl Modify for Public {
    fn modify(&self, document: &mut OpenApi) {
        for operation in document.paths.paths.values_mut().flat_map(operations) {
            operation.security.get_or_insert_default();
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

fn summarise(operation: &mut Operation) {
    let Some(comment) = operation.summary.take() else { return };
    let text = comment.split_once("`: ").map_or(comment.as_str(), |(_, text)| text);
    // The first sentence; what follows it is the description.
    let (title, rest) = text.split_once(". ").unwrap_or((text.trim_end_matches('.'), ""));
    let mut letters = title.chars();
    operation.summary = letters.next().map(|first| first.to_uppercase().chain(letters).collect());
    if !rest.is_empty() && operation.description.is_none() {
        operation.description = Some(rest.to_owned());
    }
}

/// The document with its parts in the order that people read them in.
#[derive(Serialize)]
pub struct InOrder<'a> {
    openapi: &'a Value,
    info: &'a Value,
    servers: &'a Value,
    tags: &'a Value,
    paths: &'a Value,
    components: &'a Value,
}

impl<'a> InOrder<'a> {
    pub fn of(document: &'a Value) -> Self {
        let part = |name| document.get(name).unwrap_or(&Value::Null);
        Self {
            openapi: part("openapi"),
            info: part("info"),
            servers: part("servers"),
            tags: part("tags"),
            paths: part("paths"),
            components: part("components"),
        }
    }
}
