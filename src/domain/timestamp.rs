//! Points in time on the wall clock.

use super::{json::MayBeAbsent, openapi_schema, validation};
use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize, Serializer};
use std::{fmt, ops};

/// A point in time in UTC, to the microsecond, which is what both databases store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(from = "DateTime<Utc>")]
pub struct Timestamp(pub DateTime<Utc>);

validation::via_serde!(Timestamp, validation::TEXT, "must be a time, such as 2026-11-22T15:02:26Z");

openapi_schema::described!(Timestamp: openapi_schema::formatted("A point in time in UTC.", "date-time", "2026-11-22T15:02:26.088658Z"));

pub fn now() -> Timestamp {
    Utc::now().into()
}

impl Timestamp {
    /// The earliest that both databases sort correctly: the year 1970.
    pub const EARLIEST: Self = Self(DateTime::UNIX_EPOCH);
    /// The latest that both databases sort correctly: in the year 9999.
    pub const LATEST: Self = match DateTime::from_timestamp_micros(253_402_300_799_999_999) {
        Some(latest) => Self(latest),
        None => Self::EARLIEST,
    };

    /// Expects microseconds since the Unix epoch.
    pub fn from_micros(micros: i64) -> Option<Self> {
        DateTime::from_timestamp_micros(micros).map(Self)
    }

    /// Microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }
}

impl MayBeAbsent for Timestamp {}

impl fmt::Display for Timestamp {
    /// RFC 3339, always with six decimals, so that the text sorts as the time does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    /// Truncates to microseconds, as stored.
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.trunc_subsecs(6))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ops::Add<TimeDelta> for Timestamp {
    type Output = Self;

    fn add(self, duration: TimeDelta) -> Self {
        Self(self.0 + duration)
    }
}

impl ops::Sub<TimeDelta> for Timestamp {
    type Output = Self;

    fn sub(self, duration: TimeDelta) -> Self {
        Self(self.0 - duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_six_decimals_and_sort_as_text() {
        let texts = [1_000_000, 1_000_001, 1_001_000, 1_100_000]
            .map(|micros| serde_json::to_string(&Timestamp::from_micros(micros)).unwrap());
        assert_eq!(texts[0], "\"1970-01-01T00:00:01.000000Z\"");
        let finer: Timestamp = serde_json::from_str("\"1970-01-01T01:00:01.0000019+01:00\"").unwrap();
        assert_eq!(Some(finer), Timestamp::from_micros(1_000_001));
        assert!(texts.is_sorted() && texts.iter().all(|text| text.len() == texts[0].len()), "{texts:?}");
    }
}
