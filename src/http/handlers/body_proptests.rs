//! Property tests of JSON bodies that are wrong in a few places.

use super::{accounts, orders, recipes, sessions, users};
use crate::{
    domain::{
        proptests::{nearly_one_of, within},
        recipe_draft::RecipeDraft,
        validation::FieldErrors,
    },
    http::{
        extract::{json::parse, json_errors::JsonBody},
        problem::{Problem, types},
    },
    services::orders::intake::Request,
};
use proptest::{collection::vec, prelude::*, sample::Index, string::string_regex};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, sync::mpsc, thread, time::Duration};

/// Bodies as clients send them.
const BODIES: &[&str] = &[
    r#"{"items":[{"recipe":"Negroni","quantity":2,"note":"no ice"},{"recipe":"Gin Fizz"}],"table":"4","note":"birthday"}"#,
    r#"{"name":"House Spritz","build":"collins","glass":"wine","method":"Build over ice.","preparation_seconds":20,
        "ingredients":[{"name":"prosecco","amount":90,"unit":"ml"},{"name":"soda water","amount":30.5,"unit":"dash"}]}"#,
];

/// Returns whether a body that can't be read is refused with the right type, in few words.
fn is_refused_well(problem: &Problem) -> bool {
    let Ok(problem) = serde_json::to_value(problem) else { return false };
    let brief =
        |name: &str| problem[name].as_str().is_some_and(|text| (1..=310).contains(&text.chars().count()));
    let errors = problem["errors"].as_array().map_or(0, Vec::len);
    brief("detail")
        && match problem["type"].as_str() {
            Some(name) if name == types::MALFORMED_REQUEST.path => errors == 0,
            Some(name) if name == types::INVALID.path => {
                let errors = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
                let fields: BTreeSet<_> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
                let pointer =
                    |error: &Value| error["pointer"].as_str().is_some_and(|pointer| pointer.starts_with('#'));
                (1..=10).contains(&errors.len()) && fields.len() == errors.len() && errors.iter().all(pointer)
            }
            _ => false,
        }
}

proptest! {
    #[test]
    fn a_spoilt_body_is_read_or_refused(body in nearly_one_of(BODIES)) {
        if let Err(problem) = within(96, &body, || parse::<Request>(&body)) {
            prop_assert!(is_refused_well(&problem), "{problem:?}");
        }
        match within(96, &body, || parse::<RecipeDraft>(&body)) {
            Ok(draft) => {
                let (spec, _) = draft.into_parts();
                let again = parse::<RecipeDraft>(&serde_json::to_vec(&spec).unwrap());
                prop_assert_eq!(again.ok().map(|draft| draft.into_parts().0), Some(spec));
            }
            Err(problem) => prop_assert!(is_refused_well(&problem), "{problem:?}"),
        }
        // Only a body that is not JSON is said to be that.
        let is_json = serde_json::from_slice::<Value>(&body).is_ok();
        if let Err(problem) = parse::<Request>(&body) && is_json {
            prop_assert_eq!(serde_json::to_value(&problem).unwrap()["status"].as_u64(), Some(422), "{:?}", problem);
        }
    }
}

/// Longer than any body takes on any machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Keys with characters that mean something in a path of fields, a JSON Pointer or JSON itself. The changes that [`nearly_one_of`]
/// makes to a valid body nearly never give such a key a whole pair of quotes, and so never found the endless loop that
/// `{"[0]":1}` once caused: code that writes a path as text and reads it again takes the name's brackets for an index.
fn key() -> impl Strategy<Value = String> {
    string_regex(r#"[.\[\]0-9A-Za-z~/"\\]{0,6}"#).expect("a regular expression")
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        key().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((key(), inner), 0..6).prop_map(|fields| fields.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

/// A valid body of each type.
fn right_bodies() -> Vec<Value> {
    vec![
        json!({ "username": "Ana", "email": "ana@example.com", "password": "seven green limes" }),
        json!({ "current_password": "password123", "new_password": "seven green limes" }),
        json!({ "email": "ana@example.com", "password": "seven green limes" }),
        json!({ "refresh_token": "x" }),
        json!({ "role": "employee", "active": true }),
        json!({ "available": true }),
        json!({ "reason": "out of limes" }),
        json!({ "customer_id": "01a203c7-a828-7562-865f-b3ef9919e243", "reason": "out of limes" }),
        json!({ "recipe": "Negroni", "quantity": 2, "table": "4", "note": "birthday" }),
        json!({ "items": [{ "recipe": "Negroni", "note": "no ice" }, { "recipe": "Gin Fizz", "quantity": 3 }] }),
        json!({ "name": "House Spritz", "build": "collins", "glass": "wine", "method": "Build over ice.",
            "ingredients": [{ "name": "prosecco", "amount": 90, "unit": "ml" }] }),
    ]
}

/// Every object in a value, from the outside in.
fn objects(value: &mut Value) -> Vec<&mut Map<String, Value>> {
    match value {
        Value::Object(fields) => vec![fields],
        Value::Array(elements) => elements.iter_mut().flat_map(objects).collect(),
        _ => Vec::new(),
    }
}

/// Puts a field into one of a body's objects, or into one that is within a field of it.
fn spoil(body: &mut Value, at: Index, within: bool, key: String, value: Value) {
    let Value::Object(fields) = body else { return };
    if within {
        let mut inner: Vec<_> = fields.values_mut().flat_map(objects).collect();
        if !inner.is_empty() {
            let at = at.index(inner.len());
            inner.swap_remove(at).insert(key, value);
            return;
        }
    }
    fields.insert(key, value);
}

/// Reads a body as each type.
fn as_each_type(body: &[u8]) -> Vec<Result<(), Problem>> {
    vec![
        read::<accounts::Registration>(body),
        read::<accounts::PasswordChange>(body),
        read::<sessions::Login>(body),
        read::<sessions::Refresh>(body),
        read::<users::AccountChange>(body),
        read::<recipes::Availability>(body),
        read::<orders::ActionReason>(body),
        read::<orders::CancelAll>(body),
        read::<Request>(body),
        read::<RecipeDraft>(body),
    ]
}

/// Reads a body both ways, which must agree: deserr finds errors if and only if Serde does.
fn read<T: JsonBody>(body: &[u8]) -> Result<(), Problem> {
    let outcome = parse::<T>(body).map(drop);
    let value: Value = serde_json::from_slice(body).unwrap();
    let errors = deserr::deserialize::<T, _, FieldErrors>(value).err();
    assert_eq!(outcome.is_err(), errors.is_some(), "{outcome:?}: {errors:?}");
    outcome
}

/// Fails unless each type accepts or refuses a body in time.
fn is_answered(body: &Value) -> Result<(), TestCaseError> {
    let body = body.to_string();
    let (answer, answers) = mpsc::channel();
    thread::spawn({
        let body = body.clone();
        move || answer.send(as_each_type(body.as_bytes()))
    });
    let answers = answers.recv_timeout(ANSWER_TIMEOUT);
    let answers = answers.map_err(|error| TestCaseError::fail(format!("{body}: {error}")))?;
    for problem in answers.into_iter().filter_map(Result::err) {
        prop_assert!(is_refused_well(&problem), "{}: {:?}", body, problem);
    }
    Ok(())
}

proptest! {
    // Shrinking takes this long for each body, and leaves a thread that spins.
    #![proptest_config(ProptestConfig { max_shrink_iters: 2, ..ProptestConfig::default() })]

    #[test]
    fn a_body_with_any_keys_is_answered(
        right in any::<Index>(),
        changes in vec((any::<Index>(), any::<bool>(), key(), any_json()), 1..4),
    ) {
        let mut bodies = right_bodies();
        let mut body = bodies.swap_remove(right.index(bodies.len()));
        for (at, within, key, value) in changes {
            spoil(&mut body, at, within, key, value);
        }
        is_answered(&body)?;
    }

    #[test]
    fn any_json_is_answered(body in any_json()) {
        is_answered(&body)?;
    }
}

#[test]
fn keys_that_look_like_paths_are_answered() {
    for body in [
        json!({ "[0]": 1 }),
        json!({ "[A]": 1 }),
        json!({ "[9": 1 }),
        json!({ "items": [{ "recipe": "Negroni", "]": 1 }] }),
        json!({ "name": "House Spritz", "..": 1 }),
    ] {
        is_answered(&body).unwrap();
    }
}
