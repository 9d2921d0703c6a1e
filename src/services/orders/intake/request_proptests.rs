//! Nearly valid orders and keys.

use super::*;
use crate::domain::proptests::{nearly, nearly_one_of, within};
use proptest::prelude::*;

/// Orders as clients write them.
const ORDERS: &[&str] = &[
    r#"{"recipe":"Margarita"}"#,
    r#"{"recipe":"Margarita","quantity":2,"table":"4","note":"birthday"}"#,
    r#"{"items":[{"recipe":"Negroni","quantity":2,"note":"no ice"},{"recipe":"Gin Fizz"}],"table":null}"#,
    r#"{"recipe":"Margarita","quantity":"","items":null,"table":4,"note":""}"#,
    r#"{"items":[{"recipe":"01a203c7-a828-7562-865f-b3ef9919e243","quantity":20}],"customer_id":"01a203c7-9c4d-73e0-b5cb-40c566f38883"}"#,
];

proptest! {
    #[test]
    fn an_order_that_can_be_read_is_within_its_bounds(body in nearly_one_of(ORDERS)) {
        let request = within(64, &body, || serde_json::from_slice::<JsonObject<Request>>(&body));
        let Ok(JsonObject(request)) = request else { return Ok(()) };
        prop_assert!(request.note().is_none_or(|note| note.as_str().chars().count() <= Note::MAX));
        prop_assert!(request.table().is_none_or(|table| !table.as_str().trim().is_empty()));
        match within(64, &body, || request.into_items()) {
            Ok(items) => prop_assert!(items.iter().all(|(_, item)| (1..=20).contains(&item.quantity().get()))),
            Err(FieldError { field, problem, .. }) => prop_assert!(!field.to_string().is_empty() && !problem.is_empty()),
        }
    }

    #[test]
    fn a_key_is_taken_as_it_is_or_not_at_all(key in nearly(Just(b"order-17 of table 4".to_vec()))) {
        let visible = !key.is_empty() && key.len() <= IdempotencyKey::MAX && key.iter().all(|byte| (b' '..=b'~').contains(byte));
        match within(4, &key, || IdempotencyKey::try_from(key.as_slice())) {
            Ok(taken) => prop_assert!(visible && taken.as_str().as_bytes() == key),
            Err(_) => prop_assert!(!visible),
        }
    }
}
