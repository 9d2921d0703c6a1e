//! Several messages in one, while the broker is busy: what one message costs it does not depend much on its size.
//! A bundle is a JSON text sequence (RFC 7464), so that one bad text in it leaves the others readable.

/// The content type of a bundle.
pub(super) const BATCH_MEDIA_TYPE: &str = "application/json-seq";
/// That of a message that goes alone.
pub(super) const ORDER_MEDIA_TYPE: &str = "application/json";
/// Begins each text. JSON never contains it.
const SEPARATOR: u8 = 0x1e;

/// The most texts of a bundle. What publishes makes no larger ones.
pub(super) const MAX_PARTS: usize = 128;
/// The most bytes of a message that is read: many times as many as an order, or a bundle, can have.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// Why a message is not taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OversizeError {
    /// It has so many bytes.
    #[error("the message has {0} bytes, and must have at most {MAX_MESSAGE_BYTES}")]
    Bytes(usize),
    /// It has too many parts.
    #[error("the message must have at most {MAX_PARTS} parts")]
    Parts,
}

/// Checks the size of a message with a single text.
pub(super) fn check_alone(body: &[u8]) -> Result<(), OversizeError> {
    if body.len() > MAX_MESSAGE_BYTES { Err(OversizeError::Bytes(body.len())) } else { Ok(()) }
}

/// Checks the size of a bundle and counts its texts, before memory is taken for any of them.
pub(super) fn check_bundle(body: &[u8]) -> Result<(), OversizeError> {
    check_alone(body)?;
    if split(body).take(MAX_PARTS + 1).count() > MAX_PARTS { Err(OversizeError::Parts) } else { Ok(()) }
}

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
#[path = "json_seq_proptests.rs"]
mod proptests;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_is_refused_from_one_byte_too_many_on() {
        let body = vec![b' '; MAX_MESSAGE_BYTES + 1];
        for check in [check_alone, check_bundle] {
            assert_eq!(check(&body[1..]), Ok(()));
            assert_eq!(check(&body), Err(OversizeError::Bytes(MAX_MESSAGE_BYTES + 1)));
        }
    }

    proptest! {
        #[test]
        fn what_was_joined_is_split(texts in prop::collection::vec("[^\u{1e}]{0,20}", 1..9)) {
            let joined = join(texts.iter().map(String::as_bytes));
            let split: Vec<_> = split(&joined).collect();
            prop_assert_eq!(split, texts.iter().map(String::as_bytes).collect::<Vec<_>>());
        }

        #[test]
        fn a_bundle_is_refused_from_one_text_too_many_on(texts in 120..140_usize) {
            let joined = join(std::iter::repeat_n(b"{}".as_slice(), texts));
            prop_assert_eq!(check_bundle(&joined).is_err(), texts > MAX_PARTS);
        }

        #[test]
        fn any_body_has_a_text(body in any::<Vec<u8>>()) {
            prop_assert!(split(&body).count() > 0);
        }
    }
}
