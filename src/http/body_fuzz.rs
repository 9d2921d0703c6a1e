//! Bodies, nearly right.

use super::*;
use crate::{
    domain::{
        fuzz::{nearly_one_of, within},
        recipe::Formula,
    },
    http::kind,
    intake::Request,
};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;

/// Bodies as clients send them.
const BODIES: &[&str] = &[
    r#"{"items":[{"recipe":"Negroni","quantity":2,"note":"no ice"},{"recipe":"Gin Fizz"}],"table":"4","note":"birthday"}"#,
    r#"{"name":"House Spritz","build":"collins","glass":"wine","method":"Build over ice.","preparation_seconds":20,
        "ingredients":[{"name":"prosecco","amount":90,"unit":"ml"},{"name":"soda water","amount":30.5,"unit":"dash"}]}"#,
];

/// That a body which can't be read is refused as what it is, in few words.
fn is_refused_well(problem: &Problem) -> bool {
    let Ok(problem) = serde_json::to_value(problem) else { return false };
    let brief =
        |name: &str| problem[name].as_str().is_some_and(|text| (1..=310).contains(&text.chars().count()));
    let errors = problem["errors"].as_array().map_or(0, Vec::len);
    brief("detail")
        && match problem["type"].as_str() {
            Some(name) if name == kind::MALFORMED_REQUEST.path() => errors == 0,
            Some(name) if name == kind::INVALID.path() => {
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
        match within(96, &body, || parse::<Formula>(&body)) {
            Ok(formula) => {
                let again = serde_json::to_vec(&formula).unwrap();
                prop_assert_eq!(parse::<Formula>(&again).ok(), Some(formula));
            }
            Err(problem) => prop_assert!(is_refused_well(&problem), "{problem:?}"),
        }
        // What is no JSON at all is said to be that, and nothing else is.
        let is_json = serde_json::from_slice::<Value>(&body).is_ok();
        if let Err(problem) = parse::<Request>(&body) && is_json {
            prop_assert_eq!(serde_json::to_value(&problem).unwrap()["status"].as_u64(), Some(422), "{:?}", problem);
        }
    }
}
