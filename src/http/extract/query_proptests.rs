//! Property tests of cursors and queries.

use super::*;
use crate::domain::{
    order_state::Status,
    proptests::{nearly, nearly_one_of, timestamp, within},
    text::{Search, Table},
};
use proptest::prelude::*;

query_parameters! {
    paged
    /// Parameters of every type in queries.
    Params {
        status: Status,
        table: Table,
        #[param(inline)]
        q: Search,
        #[param(value_type = Option<bool>)]
        active: Flag,
        #[param(value_type = Option<Timestamp>)]
        placed_from: TimeParam,
    }
}

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
        query in nearly_one_of(&["status=pending&table=4&limit=20&cursor=n0006494c1d5e3a9201a203c7a8287562865fb3ef9919e2430123abcd", "limit=1&&table=%C3%B1", "q=%C3%91&active=true&placed_from=2026-11-22T15:00:00%2B01:00"])
    ) {
        let Ok(text) = String::from_utf8(query.clone()) else { return Ok(()) };
        if let Ok(Query { params, .. }) = within(64, &query, || Query::<Params>::read(&text)) {
            let _ = (params.status, params.table, params.q, params.active);
            prop_assert!(params.limit.is_none_or(|PageLimit(limit)| (1..=MAX_PAGE_ENTRIES).contains(&limit)));
            prop_assert!(params.placed_from.is_none_or(|TimeParam(at)| at <= Timestamp::LATEST));
            prop_assert!(params.cursor.is_none_or(|cursor| !cursor.is_empty()));
        }
    }
}
