//! All that is wrong with a body, not only the first of it: who fills in a form wants to hear of each field at once.
//!
//! Serde stops at the first field that does not fit. So that gets a stand-in that does, and the body is looked at once more.

use super::{Unfit, fit};
use crate::domain::Invalid;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The most fields that are told.
const MOST_FIELDS: usize = 10;
/// The most bytes of a body that is looked at so: it is done over and over.
const MOST_BYTES: usize = 8 * 1024;

/// Each field that does not fit, from the first one on.
pub fn all<T: DeserializeOwned>(body: &[u8], first: Invalid) -> Vec<Invalid> {
    let mut found = vec![first];
    // Of a field that is given twice the last one is left here; that it was twice is what is told of it.
    let value = (body.len() <= MOST_BYTES).then(|| serde_json::from_slice(body).ok()).flatten();
    let Some(mut value): Option<Value> = value else { return found };
    while let Some(wrong) = unfit::<T>(&value) {
        let field = wrong.field.clone();
        if found.iter().all(|known| known.field != field) {
            found.push(wrong);
        }
        if found.len() == MOST_FIELDS || !mend::<T>(&mut value, &field) {
            break;
        }
    }
    found
}

fn unfit<T: DeserializeOwned>(value: &Value) -> Option<Invalid> {
    match fit::<T, _>(value) {
        Err(Unfit::Field(invalid)) => Some(invalid),
        Err(Unfit::NotJson(_)) | Ok(_) => None,
    }
}

/// Something for each type that a field may have. None: the field is left out.
fn stand_ins() -> [Option<Value>; 13] {
    [
        None,
        Some(json!("stand-in@example")),
        Some(json!(1)),
        Some(json!(true)),
        Some(json!({})),
        Some(json!("00000000-0000-7000-8000-000000000000")),
        Some(json!("customer")),
        Some(json!("built")),
        Some(json!("ml")),
        Some(json!({ "recipe": "any" })),
        Some(json!({ "name": "any", "amount": 1, "unit": "ml" })),
        Some(json!([{ "recipe": "any" }])),
        Some(json!([{ "name": "any", "amount": 1, "unit": "ml" }])),
    ]
}

/// Puts something that fits in the place of a field. False if there is nothing.
fn mend<T: DeserializeOwned>(value: &mut Value, field: &str) -> bool {
    stand_ins().into_iter().any(|stand_in| {
        set(value, field, stand_in)
            && unfit::<T>(value).is_none_or(|next| {
                let inner = next.field.strip_prefix(field);
                inner.is_none_or(|inner| !inner.is_empty() && !inner.starts_with(['.', '[']))
            })
    })
}

/// Sets or removes a field. False if there is no such place.
fn set(value: &mut Value, field: &str, to: Option<Value>) -> bool {
    let (outer, name) = match field.rfind(['.', '[']) {
        Some(at) => (&field[..at], field[at + 1..].trim_end_matches(']')),
        None => ("", field),
    };
    let parts = outer.split(['.', '[']).filter(|part| !part.is_empty());
    let pointer = parts.fold(String::new(), |pointer, part| {
        pointer + "/" + &part.trim_end_matches(']').replace('~', "~0").replace('/', "~1")
    });
    match (value.pointer_mut(&pointer), to) {
        (Some(Value::Object(fields)), to) => set_in(fields, name, to),
        (Some(Value::Array(elements)), Some(to)) => {
            let element = name.parse().ok().and_then(|at: usize| elements.get_mut(at));
            element.map(|element| *element = to).is_some()
        }
        _ => false,
    }
}

fn set_in(fields: &mut Map<String, Value>, name: &str, to: Option<Value>) -> bool {
    match to {
        Some(to) => {
            fields.insert(name.to_owned(), to);
            true
        }
        None => fields.remove(name).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::recipe::Formula,
        http::{accounts::Registration, body::parse},
        intake::Request,
    };
    use serde::Serialize;

    /// The fields that are told of.
    fn fields<T: DeserializeOwned>(body: &impl Serialize) -> Vec<String> {
        let Err(problem) = parse::<T>(&serde_json::to_vec(body).unwrap()) else { return Vec::new() };
        let problem = serde_json::to_value(&problem).unwrap();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn each_field_of_a_form_is_told_of() {
        let (name, long) = ("", "x".repeat(300));
        for (wrong, told) in [
            (
                json!({ "username": name, "email": "a", "password": "short" }),
                &["username", "email", "password"][..],
            ),
            (json!({ "username": 7, "password": [], "rum": 1 }), &["username", "password", "rum", "email"]),
            (json!({}), &["username", "email", "password"]),
            (json!({ "username": "Ana", "email": "ana@example.com", "password": "seven limes" }), &[]),
        ] {
            let mut fields = fields::<Registration>(&wrong);
            let mut told: Vec<_> = told.iter().map(ToString::to_string).collect();
            fields.sort();
            told.sort();
            assert_eq!(fields, told, "{wrong}");
        }
        let order = json!({
            "items": [{ "recipe": "Negroni", "quantity": 0 }, { "quantity": 21, "note": long, "ice": true }, 7],
            "table": name, "note": 1, "customer_id": "me",
        });
        let mut told = fields::<Request>(&order);
        told.sort();
        assert_eq!(
            told,
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
        assert_eq!(fields::<Formula>(&recipe).len(), 9);
    }

    #[test]
    fn what_is_told_has_a_bound() {
        let items: Vec<_> = (0..50).map(|_| json!({ "recipe": "Negroni", "quantity": 0 })).collect();
        assert_eq!(fields::<Request>(&json!({ "items": items })).len(), MOST_FIELDS);
        let long = json!({ "table": "", "note": "x".repeat(MOST_BYTES) });
        assert_eq!(fields::<Request>(&long).len(), 1);
    }
}
