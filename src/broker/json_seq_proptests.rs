//! Property tests of damaged batches.

use super::*;
use crate::domain::proptests::{nearly, within};
use proptest::{collection::vec, prelude::*};

fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(any::<u8>().prop_filter("never in JSON", |byte| *byte != SEPARATOR), 0..40), 1..9)
}

proptest! {
    #[test]
    fn a_spoilt_bundle_is_split_at_its_separators_and_nothing_else_of_it_is_lost(
        body in nearly(texts().prop_map(|texts| join(texts.iter().map(Vec::as_slice))))
    ) {
        let texts = within(64, &body, || split(&body).map(<[u8]>::to_vec).collect::<Vec<_>>());
        let begun = usize::from(body.first() == Some(&SEPARATOR));
        let separators = body.split(|byte| *byte == SEPARATOR).count() - 1;
        prop_assert_eq!(texts.len(), separators + 1 - begun);
        let kept: usize = texts.iter().map(Vec::len).sum();
        prop_assert!(kept + separators + texts.len() >= body.len(), "at most a line's end of each text is cut off");
    }

    #[test]
    fn one_bad_text_leaves_the_others_as_they_were(mut texts in texts(), bad in any::<prop::sample::Index>(), by in nearly(Just(b"{}".to_vec()))) {
        let at = bad.index(texts.len());
        texts[at] = by.into_iter().filter(|byte| *byte != SEPARATOR).collect();
        let joined = join(texts.iter().map(Vec::as_slice));
        let split: Vec<_> = split(&joined).collect();
        prop_assert_eq!(split, texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}
