//! What a message says of earlier attempts at it, in headers of our own: brokers from 4.0 on ignore a republished `x-death`.

use amqprs::{FieldTable, FieldValue};

use super::topology::insert;
use crate::domain::Instant;

const COUNT: &str = "shakerqueue-failures";
/// Microseconds since 1970 began.
const FIRST_AT: &str = "shakerqueue-first-failure";

/// How often a message could not be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// How often.
    pub count: u32,
    /// Since when, if ever.
    pub first_at: Option<Instant>,
}

impl Failures {
    /// One more.
    #[must_use]
    pub fn and_one_more(self, at: Instant) -> Self {
        Self { count: self.count.saturating_add(1), first_at: self.first_at.or(Some(at)) }
    }

    pub(super) fn headers(self) -> Option<FieldTable> {
        let first_at = self.first_at?;
        let mut headers = FieldTable::new();
        insert(&mut headers, COUNT, FieldValue::l(self.count.into()));
        insert(&mut headers, FIRST_AT, FieldValue::l(first_at.micros()));
        Some(headers)
    }

    /// Headers that are missing or make no sense count as none.
    pub(super) fn read(headers: Option<&FieldTable>) -> Self {
        let number = |name: &str| match headers?.get(&name.try_into().ok()?)? {
            FieldValue::l(number) => Some(*number),
            _ => None,
        };
        let count = number(COUNT).and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
        Self { count, first_at: number(FIRST_AT).and_then(Instant::from_micros) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::now;

    #[test]
    fn failures_travel_in_headers() {
        let twice = Failures::default().and_one_more(now()).and_one_more(Instant::LATEST);
        assert_eq!(twice.count, 2);
        assert!(twice.first_at < Some(Instant::LATEST));
        assert_eq!(Failures::read(twice.headers().as_ref()), twice);
        assert_eq!(Failures::default().headers(), None);
    }

    #[test]
    fn strange_headers_are_none() {
        assert_eq!(Failures::read(None), Failures::default());
        let mut headers = FieldTable::new();
        insert(&mut headers, COUNT, FieldValue::l(-1));
        insert(&mut headers, FIRST_AT, "yesterday".into());
        assert_eq!(Failures::read(Some(&headers)), Failures::default());
    }
}
