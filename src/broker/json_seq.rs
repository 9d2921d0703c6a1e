//! The body of a publish batch: a JSON text sequence (RFC 7464), so that one bad text leaves the others readable. A message costs
//! the broker about the same whatever its size, so orders share one while it is busy.

pub(super) const BATCH_MEDIA_TYPE: &str = "application/json-seq";
pub(super) const ORDER_MEDIA_TYPE: &str = "application/json";
/// The character before each text. JSON never contains it.
const SEPARATOR: u8 = 0x1e;

/// Largest number of texts in a batch, for publishing and for reading.
pub(super) const MAX_PARTS: usize = 128;
/// Largest message that is read: many times the size of an order or a batch.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OversizeError {
    #[error("the message has {0} bytes, and must have at most {MAX_MESSAGE_BYTES}")]
    Bytes(usize),
    #[error("the message must have at most {MAX_PARTS} parts")]
    Parts,
}

/// Checks the size of a message with a single order.
pub(super) fn check_single(body: &[u8]) -> Result<(), OversizeError> {
    if body.len() > MAX_MESSAGE_BYTES { Err(OversizeError::Bytes(body.len())) } else { Ok(()) }
}

/// Checks the size of a batch and counts its texts, before any memory is allocated for them.
pub(super) fn check_batch(body: &[u8]) -> Result<(), OversizeError> {
    check_single(body)?;
    if split(body).take(MAX_PARTS + 1).count() > MAX_PARTS { Err(OversizeError::Parts) } else { Ok(()) }
}

pub(super) fn join<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut body = Vec::new();
    for text in texts {
        body.push(SEPARATOR);
        body.extend_from_slice(text);
        body.push(b'\n');
    }
    body
}

/// Splits a body into its texts. A text without a separator before it counts as well, and an empty body is an empty text: nothing
/// that was delivered is skipped.
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
        for check in [check_single, check_batch] {
            assert_eq!(check(&body[1..]), Ok(()));
            assert_eq!(check(&body), Err(OversizeError::Bytes(MAX_MESSAGE_BYTES + 1)));
        }
    }

    proptest! {
        #[test]
        fn joined_texts_are_split_again(texts in prop::collection::vec("[^\u{1e}]{0,20}", 1..9)) {
            let joined = join(texts.iter().map(String::as_bytes));
            let split: Vec<_> = split(&joined).collect();
            prop_assert_eq!(split, texts.iter().map(String::as_bytes).collect::<Vec<_>>());
        }

        #[test]
        fn a_batch_is_refused_from_one_text_too_many_on(texts in 120..140_usize) {
            let joined = join(std::iter::repeat_n(b"{}".as_slice(), texts));
            prop_assert_eq!(check_batch(&joined).is_err(), texts > MAX_PARTS);
        }

        #[test]
        fn any_body_has_a_text(body in any::<Vec<u8>>()) {
            prop_assert!(split(&body).count() > 0);
        }
    }
}
