//! Explains why a body can't be read, with every field that is wrong: a person who fills in a form wants to correct all at once.

use crate::{
    domain::{
        FieldError,
        json::repeated_keys,
        json::utf8,
        validation::{FieldErrors, FieldPath},
    },
    http::problem::Problem,
};
use deserr::Deserr;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The type of a body. It is read by Serde, which is fast and stops at the first error, and if that fails by deserr, which collects
/// errors.
pub trait JsonBody: DeserializeOwned + Deserr<FieldErrors> {}

impl<T: DeserializeOwned + Deserr<FieldErrors>> JsonBody for T {}

/// Returns the problem of a body that Serde refused, in two passes over the body's structure, with at most ten errors.
pub fn explain<T: JsonBody>(body: &[u8], error: &serde_json::Error) -> Problem {
    match utf8(body) {
        Err(error) => return Problem::malformed(format!("The body {error}.")),
        Ok(text) if text.trim_ascii().is_empty() => return Problem::malformed("The body is empty."),
        Ok(_) => {}
    }
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return Problem::malformed(format!("The body is not JSON: {error}.")),
    };
    // The value has only the last one of repeated fields.
    let mut wrong = repeated_keys(body, 1);
    if let Err(errors) = deserr::deserialize::<T, _, FieldErrors>(value) {
        let repeated = wrong.first().map(|invalid| invalid.field.clone());
        wrong.extend(errors.into_vec().into_iter().filter(|error| Some(&error.field) != repeated.as_ref()));
    }
    if wrong.is_empty() {
        wrong.push(FieldError::new(FieldPath::ROOT, error.to_string()));
    }
    wrong.truncate(<FieldErrors>::CAPACITY);
    Problem::of_fields(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::recipe_draft::RecipeDraft,
        http::{extract::json::parse, handlers::accounts::Registration},
        services::orders::intake::Request,
    };
    use serde_json::json;

    /// Returns the wrong fields and their pointers.
    fn fields<T: JsonBody>(body: &str) -> Vec<(String, String)> {
        let Err(problem) = parse::<T>(body.as_bytes()) else { return Vec::new() };
        let problem = serde_json::to_value(&problem).unwrap();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
        errors.iter().map(|error| (text(error, "field"), text(error, "pointer"))).collect()
    }

    fn names<T: JsonBody>(body: &Value) -> Vec<String> {
        let mut names: Vec<_> = fields::<T>(&body.to_string()).into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }

    #[test]
    fn each_wrong_field_of_a_form_is_named() {
        for (wrong, named) in [
            (
                json!({ "username": "", "email": "a", "password": "short" }),
                &["email", "password", "username"][..],
            ),
            (json!({ "username": 7, "password": [], "rum": 1 }), &["email", "password", "rum", "username"]),
            (json!({}), &["email", "password", "username"]),
            (json!([]), &["body"]),
            (json!({ "username": "Ana", "email": "ana@example.com", "password": "seven limes" }), &[]),
        ] {
            assert_eq!(names::<Registration>(&wrong), named, "{wrong}");
        }
        let long = "x".repeat(300);
        let order = json!({
            "items": [{ "recipe": "Negroni", "quantity": 0 }, { "quantity": 21, "note": long, "ice": true }, 7],
            "table": "\u{3164}", "note": 1, "customer_id": "me",
        });
        assert_eq!(
            names::<Request>(&order),
            [
                "customer_id",
                "items[0].quantity",
                "items[1].ice",
                "items[1].note",
                "items[1].quantity",
                "items[1].recipe",
                "items[2]",
                "note",
                "table"
            ]
        );
        let recipe = json!({
            "name": long, "build": "hot", "glass": "", "method": 7, "garnish": false, "preparation_seconds": 0,
            "ingredients": [{ "name": "gin", "amount": -1, "unit": "pint" }, "rum"],
        });
        assert_eq!(names::<RecipeDraft>(&recipe).len(), 9);
    }

    #[test]
    fn a_field_is_named_as_it_was_sent_whatever_it_is_called() {
        for (key, pointer) in
            [("[0]", "#/%5B0%5D"), ("[9", "#/%5B9"), ("..", "#/.."), ("a/b~", "#/a~1b~0"), ("", "#/")]
        {
            let body = json!({ key: 1, "recipe": "Negroni" }).to_string();
            assert_eq!(fields::<Request>(&body), [(key.to_owned(), pointer.to_owned())], "{body}");
        }
    }

    #[test]
    fn a_field_that_is_given_twice_is_named() {
        for body in [
            r#"{"recipe":"Negroni","rum":1,"recipe":"Gin Fizz"}"#,
            r#"{"recipe":"Negroni","recipe":7,"rum":1}"#,
        ] {
            let named = fields::<Request>(body);
            let named: Vec<_> = named.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(named, ["recipe", "rum"], "{body}");
        }
    }

    #[test]
    fn no_more_errors_are_collected_than_anybody_reads() {
        let items: Vec<_> = (0..50).map(|_| json!({ "recipe": "Negroni", "quantity": 0 })).collect();
        assert_eq!(names::<Request>(&json!({ "items": items })).len(), <FieldErrors>::CAPACITY);
    }
}
