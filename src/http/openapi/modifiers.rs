//! Changes of the whole document that utoipa's types can express.

use utoipa::{
    Modify,
    openapi::{
        OpenApi,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// Adds the token, to which operations refer.
pub struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut OpenApi) {
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(
            "The `token` in the response of `POST /login`, `POST /register` and `POST /token/refresh`. Where an operation names a \
             role, it needs that role or a higher one: customer, employee, admin.",
        ));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(token.build()));
    }
}

/// States of operations without a token that they need none: a client could not tell that from one that was forgotten.
pub struct Public;

impl Modify for Public {
    fn modify(&self, document: &mut OpenApi) {
        for item in document.paths.paths.values_mut() {
            let operations =
                [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
            for operation in operations.into_iter().flatten() {
                operation.security.get_or_insert_default();
            }
        }
    }
}
