//! Several messages in one, while the broker is busy: what one message costs it does not depend much on its size.
//! A bundle is a JSON text sequence (RFC 7464), so that one bad text in it leaves the others readable.

/// The content type of a bundle.
pub(super) const TOGETHER: &str = "application/json-seq";
/// That of a message that goes alone.
pub(super) const ALONE: &str = "application/json";
/// Begins each text. JSON never contains it.
const SEPARATOR: u8 = 0x1e;

/// Several JSON texts as one body.
pub(super) fn join<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut body = Vec::new();
    for text in texts {
        body.push(SEPARATOR);
        body.extend_from_slice(text);
        body.push(b'\n');
    }
    body
}

/// The texts of a body. What begins with no separator is a text too, and an empty body an empty text: nothing that was
/// delivered is passed over.
pub(super) fn split(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.strip_prefix(&[SEPARATOR])
        .unwrap_or(body)
        .split(|byte| *byte == SEPARATOR)
        .map(|text| text.strip_suffix(b"\n").unwrap_or(text))
}

#[cfg(test)]
#[path = "bundle_fuzz.rs"]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_joined_is_split(texts in prop::collection::vec("[^\u{1e}]{0,20}", 1..9)) {
            let joined = join(texts.iter().map(String::as_bytes));
            let split: Vec<_> = split(&joined).collect();
            prop_assert_eq!(split, texts.iter().map(String::as_bytes).collect::<Vec<_>>());
        }

        #[test]
        fn any_body_has_a_text(body in any::<Vec<u8>>()) {
            prop_assert!(split(&body).count() > 0);
        }
    }
}
