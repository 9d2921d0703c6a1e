//! What is the same everywhere in the document.

use super::{super::limits::WATCHED, problems};
use utoipa::{
    Modify,
    openapi::{
        OpenApi,
        path::Operation,
        security::{Http, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// Adds what operations refer to: the problems, and the token.
pub struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        components.responses.extend(problems::all());
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

/// Says of all operations that are counted that they may be too many.
pub struct Counted;

impl Modify for Counted {
    fn modify(&self, document: &mut OpenApi) {
        let counted = document.paths.paths.iter_mut().filter(|(path, _)| !WATCHED.contains(&path.as_str()));
        for (_, item) in counted {
            let methods = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
            for operation in methods.into_iter().flatten() {
                operation.responses.responses.extend(problems::counted());
            }
        }
    }
}

/// Makes titles of the handlers' comments: these begin with the route, which the document shows anyway.
pub struct Summaries;

impl Modify for Summaries {
    fn modify(&self, document: &mut OpenApi) {
        for item in document.paths.paths.values_mut() {
            let methods = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
            methods.into_iter().flatten().for_each(summarise);
        }
    }
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
