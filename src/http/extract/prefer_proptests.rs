//! Property tests of `Prefer`.

use super::*;
use crate::domain::proptests::{nearly_one_of, within};
use actix_web::test::TestRequest;
use proptest::prelude::*;

fn prefers(value: HeaderValue) -> Option<Duration> {
    wait(&TestRequest::default().insert_header(("Prefer", value)).to_http_request())
}

proptest! {
    #[test]
    fn a_wait_is_what_was_asked_for_and_no_longer_than_the_longest(seconds in any::<u64>(), space in " {0,2}") {
        let value = HeaderValue::try_from(format!("respond-async,{space}Wait{space}={space}{seconds}")).unwrap();
        prop_assert_eq!(prefers(value), Some(Duration::from_secs(seconds.min(MAX_WAIT_SECONDS))));
    }

    #[test]
    fn a_spoilt_preference_is_none_or_within_bounds(
        value in nearly_one_of(&["wait=5", "respond-async, wait=10, handling=lenient", "note=\"a\\\", wait=9\"; x=y, wait=\"4\""])
    ) {
        let Ok(header) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let request = TestRequest::default().insert_header(("Prefer", header)).to_http_request();
        let wait = within(4, &value, || wait(&request));
        prop_assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(MAX_WAIT_SECONDS)));
    }
}
