//! What the bar is about: orders, recipes, accounts, and their rules. No I/O.

pub mod account;
pub mod audit;
pub mod dead_letter;
pub mod encoding;
pub mod filters;
pub mod ids;
mod json_integer;
pub mod json_object;
pub mod name_search;
pub mod network;
mod openapi_schema;
pub mod optional;
pub mod order;
pub mod order_state;
pub mod priority;
#[cfg(test)]
pub mod proptests;
pub mod recipe;
pub mod recipe_draft;
pub mod search;
pub mod table_label;
pub mod text;
mod unicode;
pub mod unique_keys;
pub mod validation;
pub mod version;

pub use validation::FieldError;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize, Serializer};
use std::{fmt, ops};

/// A moment in UTC, kept to the microsecond because that is what the databases store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(from = "DateTime<Utc>")]
pub struct Timestamp(pub DateTime<Utc>);

validation::whole!(Timestamp, validation::TEXT, "must be a time, such as 2026-11-22T15:02:26Z");

openapi_schema::described!(Timestamp: openapi_schema::formatted("A moment in UTC.", "date-time", "2026-11-22T15:02:26.088658Z"));

/// The present moment.
pub fn now() -> Timestamp {
    Utc::now().into()
}

impl Timestamp {
    /// The first moment that both databases know and sort rightly: the year 1970.
    pub const EARLIEST: Self = Self(DateTime::UNIX_EPOCH);
    /// The last: in the year 9999.
    pub const LATEST: Self = match DateTime::from_timestamp_micros(253_402_300_799_999_999) {
        Some(latest) => Self(latest),
        None => Self::EARLIEST,
    };

    /// The moment so many microseconds after 1970 began, if there is one.
    pub fn from_micros(micros: i64) -> Option<Self> {
        DateTime::from_timestamp_micros(micros).map(Self)
    }

    /// Microseconds since 1970 began.
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339, always with six decimals: as text, moments sort as they do in time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    /// Without what is finer than a microsecond.
    fn from(moment: DateTime<Utc>) -> Self {
        Self(moment.trunc_subsecs(6))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ops::Add<TimeDelta> for Timestamp {
    type Output = Self;

    fn add(self, time: TimeDelta) -> Self {
        Self(self.0 + time)
    }
}

impl ops::Sub<TimeDelta> for Timestamp {
    type Output = Self;

    fn sub(self, time: TimeDelta) -> Self {
        Self(self.0 - time)
    }
}

/// An enumeration whose variants travel and are stored as lower-case words.
macro_rules! words {
    ($(#[doc = $about:literal])+ pub enum $name:ident { $($(#[doc = $meaning:literal])+ $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        // Through text: Serde's own way with enums also takes an object, and calls a number no JSON at all.
        #[serde(into = "&'static str", try_from = "String")]
        pub enum $name { $($(#[doc = $meaning])+ $variant),+ }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        $crate::domain::validation::whole!($name);

        $crate::domain::openapi_schema::described!($name: $crate::domain::openapi_schema::word(
            concat!($($about),+),
            &[$(($word, concat!($($meaning),+))),+],
        ));

        impl From<$name> for &'static str {
            fn from(value: $name) -> &'static str {
                value.as_str()
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(word: String) -> Result<Self, String> {
                word.parse()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            /// Reads the word; any other is an error that lists the words there are.
            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("must be one of {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_six_decimals_and_sort_as_text() {
        let texts = [1_000_000, 1_000_001, 1_001_000, 1_100_000]
            .map(|micros| serde_json::to_string(&Timestamp::from_micros(micros)).unwrap());
        assert_eq!(texts[0], "\"1970-01-01T00:00:01.000000Z\"");
        let finer: Timestamp = serde_json::from_str("\"1970-01-01T01:00:01.0000019+01:00\"").unwrap();
        assert_eq!(Some(finer), Timestamp::from_micros(1_000_001));
        assert!(texts.is_sorted() && texts.iter().all(|text| text.len() == texts[0].len()), "{texts:?}");
    }
}
