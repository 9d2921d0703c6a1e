//! `If-None-Match`, nearly right.

use super::*;
use crate::domain::fuzz::{nearly_one_of, within};
use actix_web::{
    http::{StatusCode, header::HeaderValue},
    test::TestRequest,
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn who_does_not_name_the_tag_gets_the_menu(
        value in nearly_one_of(&["W/\"0123456789abcdef0123456789abcdef\"", "\"a\", W/\"b\"", "*"])
    ) {
        let Ok(header) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let fresh = tagged(&TestRequest::default().to_http_request(), &"menu");
        let tag = fresh.headers().get(header::ETAG).unwrap().clone();
        let knows = |header: HeaderValue| {
            let request = TestRequest::default().insert_header((header::IF_NONE_MATCH, header)).to_http_request();
            within(64, &value, || tagged(&request, &"menu").status() == StatusCode::NOT_MODIFIED)
        };
        let all = value.trim_ascii() == b"*";
        prop_assert_eq!(knows(header), all, "{:?}", String::from_utf8_lossy(&value));
        prop_assert!(knows(tag));
    }
}
