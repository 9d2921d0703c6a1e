//! Extracts the SQLSTATE of each error from the byte stream of a PostgreSQL connection. Diesel passes on only
//! an error's message, which servers localize.

use crate::store::error::SqlState;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncRead;
use tokio_util::io::InspectReader;

/// Maximum of bytes examined of an error: its code is the third field, after two words.
const MAX_ERROR_BYTES: usize = 256;
/// Length of the message header: a type, and a length that counts itself.
const HEAD_BYTES: usize = 5;
const LENGTH_BYTES: usize = 4;
/// Message type of an error.
const ERROR: u8 = b'E';
/// Type of the field with the SQLSTATE.
const CODE_FIELD: &[u8] = b"C";

/// SQLSTATE of the last error on a connection, shared by its clones.
#[derive(Clone, Default)]
pub struct LastError(Arc<Mutex<Option<SqlState>>>);

impl LastError {
    pub fn take(&self) -> Option<SqlState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, state: SqlState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }
}

/// Wraps a stream from a server, and records the code of each error that it reads.
pub fn watch<S: AsyncRead>(stream: S, last_error: LastError) -> InspectReader<S, impl FnMut(&[u8])> {
    let mut messages = Messages { last_error, ..Messages::default() };
    InspectReader::new(stream, move |bytes: &[u8]| messages.feed(bytes))
}

/// Parser state within the current message.
#[derive(Default)]
struct Messages {
    head: Vec<u8>,
    /// Bytes of the body still to come.
    left: usize,
    /// The beginning of the body, if it is an error.
    error: Option<Vec<u8>>,
    last_error: LastError,
}

impl Messages {
    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let wanted = if self.left > 0 { self.left } else { HEAD_BYTES.saturating_sub(self.head.len()) };
            let (part, rest) = bytes.split_at(wanted.min(bytes.len()));
            if self.left > 0 {
                self.body(part);
            } else {
                self.begin(part);
            }
            bytes = rest;
        }
    }

    fn begin(&mut self, part: &[u8]) {
        self.head.extend_from_slice(part);
        let Ok([kind, length @ ..]) = <[u8; HEAD_BYTES]>::try_from(self.head.as_slice()) else { return };
        self.head.clear();
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        self.left = length.saturating_sub(LENGTH_BYTES);
        self.error = (kind == ERROR).then(Vec::new);
    }

    fn body(&mut self, part: &[u8]) {
        self.left = self.left.saturating_sub(part.len());
        let Some(error) = &mut self.error else { return };
        let room = MAX_ERROR_BYTES.saturating_sub(error.len());
        error.extend(part.iter().take(room));
        if self.left > 0 {
            return;
        }
        if let Some(state) = self.error.take().and_then(|error| code(&error)) {
            self.last_error.set(state);
        }
    }
}

/// Extracts the code from the body of an error: fields of a letter and a null-terminated string.
fn code(error: &[u8]) -> Option<SqlState> {
    error.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(CODE_FIELD)).and_then(SqlState::parse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + LENGTH_BYTES).unwrap();
        [&[kind][..], &length.to_be_bytes(), body].concat()
    }

    fn error(code: &str) -> Vec<u8> {
        message(ERROR, format!("SFEHLER\0VERROR\0C{code}\0MCould not\0\0").as_bytes())
    }

    #[test]
    fn the_code_of_the_last_error_is_known_once() {
        let mut messages = Messages::default();
        messages.feed(&error("22021"));
        messages.feed(&[message(b'Z', b"I"), error("40P01"), message(b'D', b"C57P01\0")].concat());
        assert_eq!(messages.last_error.take().unwrap().as_str(), "40P01");
        assert_eq!(messages.last_error.take(), None);
    }

    #[test]
    fn an_error_of_any_length_is_read_and_one_without_a_code_is_none() {
        let long = format!("SERROR\0C53300\0M{}\0\0", "x".repeat(1 << 20));
        for (body, code) in [(long.as_str(), Some("53300")), ("SERROR\0\0", None), ("", None), ("C\0", None)]
        {
            let mut messages = Messages::default();
            messages.feed(&[message(ERROR, body.as_bytes()), message(b'Z', b"I")].concat());
            assert_eq!(messages.last_error.take().map(|state| state.to_string()).as_deref(), code);
            assert!(messages.head.is_empty() && messages.left == 0);
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_a_stream_is_cut(parts in prop::collection::vec(1_usize..40, 1..60)) {
            let stream = [message(b'T', &[7; 90]), error("22P05"), message(b'1', b""), message(b'D', &[0; 9])].concat();
            let mut messages = Messages::default();
            let mut left = stream.as_slice();
            for part in parts.iter().cycle() {
                let (now, later) = left.split_at((*part).min(left.len()));
                messages.feed(now);
                left = later;
                if left.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(messages.last_error.take(), SqlState::parse(b"22P05"));
            prop_assert!(messages.head.is_empty() && messages.left == 0);
        }
    }
}
