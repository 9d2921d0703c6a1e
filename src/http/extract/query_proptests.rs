//! Property tests of cursors and queries.

use super::*;
use crate::domain::proptests::{nearly, nearly_one_of, timestamp, within};
use actix_web::{http::Uri, test::TestRequest};
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_cursor_leads_back_to_its_place(list in "[a-z]", at in timestamp(), id in any::<u128>()) {
        let (list, id) = (list.chars().next().unwrap(), Uuid::from_u128(id));
        prop_assert_eq!(read_cursor(list, "0f3a", &cursor(list, "0f3a", (at, id))), Some((at, id)));
    }

    #[test]
    fn a_spoilt_cursor_is_none(
        text in nearly((timestamp(), any::<u128>()).prop_map(|(at, id)| cursor('n', "0f3a", (at, Uuid::from_u128(id))).into_bytes()))
    ) {
        let Ok(text) = String::from_utf8(text) else { return Ok(()) };
        // What is read is what could have been given out, to the letter.
        if let Some(place) = within(4, text.as_bytes(), || read_cursor('n', "0f3a", &text)) {
            prop_assert_eq!(cursor('n', "0f3a", place), text);
        }
    }

    #[test]
    fn a_spoilt_query_is_read_or_refused(
        query in nearly_one_of(&["status=pending,ready&table=4&limit=20&cursor=n0006494c1d5e3a9201a203c7a8287562865fb3ef9919e2430123abcd", "limit=1&&table=%C3%B1", "q=%C3%91&active=true&placed_from=2026-11-22T15:00:00%2B01:00"])
    ) {
        let Some(uri) = String::from_utf8(query.clone()).ok().and_then(|query| format!("/?{query}").parse::<Uri>().ok()) else {
            return Ok(());
        };
        let request = TestRequest::with_uri(&uri.to_string()).to_http_request();
        let known = ["status", "table", "q", "active", "placed_from", "limit", "cursor"];
        let read = within(64, &query, || Query::read(&request, &known));
        if let Ok(read) = read {
            prop_assert!(read.0.keys().all(|name| known.contains(&name.as_str())));
            prop_assert!(read.limit().is_ok_and(|limit| (1..=MAX_PAGE_ENTRIES).contains(&limit)) || read.limit().is_err());
            let _ = (read.words::<crate::domain::order_state::Status>("status"), read.cursor('n'), read.search(), read.flag("active"));
            prop_assert!(read.moment("placed_from").is_ok_and(|at| at.is_none_or(|at| at <= Timestamp::LATEST)) || read.moment("placed_from").is_err());
        }
    }
}
