//! Property tests of `If-Match` and `If-None-Match`.

use super::*;
use crate::domain::proptests::{nearly_one_of, within};
use actix_web::test::TestRequest;
use proptest::prelude::*;

const VERSION: EntityVersion =
    EntityVersion { id: uuid::Uuid::from_u128(0x01a2_03c7_a828_7562_865f_b3ef_9919_e243), version: 3 };

/// Returns whether a client that sends this header may change this version.
fn allows(name: HeaderName, value: HeaderValue, version: EntityVersion) -> Option<bool> {
    let request = TestRequest::default().insert_header((name, value)).to_http_request();
    precondition(request.headers()).ok().map(|precondition| precondition.allows(version))
}

fn menu(request: &HttpRequest) -> HttpResponse {
    show_public(request, &content_tag(b"menu"), || HttpResponse::Ok().body("menu"))
}

proptest! {
    #[test]
    fn who_does_not_name_the_tag_gets_the_menu(
        value in nearly_one_of(&["W/\"0123456789abcdef0123456789abcdef\"", "\"a\", W/\"b\"", "*"])
    ) {
        let Ok(header) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let fresh = menu(&TestRequest::default().to_http_request());
        let tag = fresh.headers().get(header::ETAG).unwrap().clone();
        let knows = |header: HeaderValue| {
            let request = TestRequest::default().insert_header((header::IF_NONE_MATCH, header)).to_http_request();
            within(64, &value, || menu(&request).status() == StatusCode::NOT_MODIFIED)
        };
        let all = value.trim_ascii() == b"*";
        prop_assert_eq!(knows(header), all, "{:?}", String::from_utf8_lossy(&value));
        prop_assert!(knows(tag));
    }

    #[test]
    fn nothing_is_changed_by_who_does_not_name_its_tag_to_the_letter(
        value in nearly_one_of(&["\"3-01a203c7a8287562865fb3ef9919e243\"", "\"x\", \"3-01a203c7a8287562865fb3ef9919e243\", W/\"y\""])
    ) {
        let Ok(header) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let named = within(64, &value, || allows(header::IF_MATCH, header, VERSION)) == Some(true);
        let text = String::from_utf8_lossy(&value);
        let tag = etag(VERSION);
        // Strong, and not a part of another one.
        let says = text.match_indices(&tag).any(|(at, _)| !text[..at].ends_with("W/"));
        prop_assert!(!named || says || text.trim() == "*", "{}", text);
    }
}
