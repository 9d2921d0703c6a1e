//! Property tests of damaged messages.

use super::*;
use crate::domain::proptests::{nearly, order, within};
use proptest::prelude::*;

proptest! {
    #[test]
    fn an_encoded_order_is_decoded(order in order()) {
        let body = encode(&order);
        prop_assert_eq!(named_id(&body), Some(order.id));
        prop_assert_eq!(decode(&body).ok(), Some(order));
    }

    #[test]
    fn a_spoilt_message_is_an_order_or_says_why_not(body in nearly(order().prop_map(|order| encode(&order)))) {
        match within(64, &body, || (named_id(&body), decode(&body)).1) {
            // An order that was decoded can be sent on, and is the same there.
            Ok(order) => prop_assert_eq!(decode(&encode(&order)).ok(), Some(order)),
            Err(reason) => prop_assert!(!reason.to_string().is_empty()),
        }
    }
}
