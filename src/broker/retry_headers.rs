//! Headers that count the failed attempts at a message. They are our own, because RabbitMQ 4.0 and later ignore a republished
//! `x-death`.

use amqprs::{FieldTable, FieldValue};

use super::field_table::insert;
use crate::domain::Timestamp;

const COUNT_HEADER: &str = "shakerqueue-failures";
/// In microseconds since 1970.
const FIRST_FAILURE_HEADER: &str = "shakerqueue-first-failure";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryInfo {
    pub count: u32,
    pub first_at: Option<Timestamp>,
}

impl RetryInfo {
    #[must_use]
    pub fn and_one_more(self, at: Timestamp) -> Self {
        Self { count: self.count.saturating_add(1), first_at: self.first_at.or(Some(at)) }
    }

    pub(super) fn headers(self) -> Option<FieldTable> {
        let first_at = self.first_at?;
        let mut headers = FieldTable::new();
        insert(&mut headers, COUNT_HEADER, FieldValue::l(self.count.into()));
        insert(&mut headers, FIRST_FAILURE_HEADER, FieldValue::l(first_at.micros()));
        Some(headers)
    }

    /// Reads the headers. Missing and invalid ones count as no failures.
    pub(super) fn read(headers: Option<&FieldTable>) -> Self {
        let number = |name: &str| match headers?.get(&name.try_into().ok()?)? {
            FieldValue::l(number) => Some(*number),
            _ => None,
        };
        let count = number(COUNT_HEADER).and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
        Self { count, first_at: number(FIRST_FAILURE_HEADER).and_then(Timestamp::from_micros) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::now;

    #[test]
    fn failures_travel_in_headers() {
        let twice = RetryInfo::default().and_one_more(now()).and_one_more(Timestamp::LATEST);
        assert_eq!(twice.count, 2);
        assert!(twice.first_at < Some(Timestamp::LATEST));
        assert_eq!(RetryInfo::read(twice.headers().as_ref()), twice);
        assert_eq!(RetryInfo::default().headers(), None);
    }

    #[test]
    fn strange_headers_are_none() {
        assert_eq!(RetryInfo::read(None), RetryInfo::default());
        let mut headers = FieldTable::new();
        insert(&mut headers, COUNT_HEADER, FieldValue::l(-1));
        insert(&mut headers, FIRST_FAILURE_HEADER, "yesterday".into());
        assert_eq!(RetryInfo::read(Some(&headers)), RetryInfo::default());
    }
}
