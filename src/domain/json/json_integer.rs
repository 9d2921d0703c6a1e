//! Integers, however JSON writes them.

use crate::domain::validation;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use std::fmt;

/// An integer: to JSON, and to the API's document, `2.0` is the same number as `2`.
#[derive(Debug, Clone, Copy)]
pub struct JsonInteger(pub i64);

validation::via_serde!(JsonInteger, validation::NUMBER);

impl<'de> Deserialize<'de> for JsonInteger {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(AnyNumber)
    }
}

struct AnyNumber;

impl Visitor<'_> for AnyNumber {
    type Value = JsonInteger;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<JsonInteger, E> {
        Ok(JsonInteger(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<JsonInteger, E> {
        // Too large for any of our limits either way.
        Ok(JsonInteger(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<JsonInteger, E> {
        if number.fract() != 0.0 {
            return Err(E::custom("must be a whole number"));
        }
        // Saturates, as intended.
        #[allow(clippy::cast_possible_truncation, reason = "there is nothing behind the point")]
        Ok(JsonInteger(number as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_may_be_written_with_a_point_and_nothing_behind_it() {
        let read =
            |text: &str| serde_json::from_str::<JsonInteger>(text).ok().map(|JsonInteger(number)| number);
        for (text, number) in [
            ("2", 2),
            ("2.0", 2),
            ("-2", -2),
            ("2e1", 20),
            ("1e30", i64::MAX),
            ("18446744073709551615", i64::MAX),
        ] {
            assert_eq!(read(text), Some(number), "{text}");
        }
        for text in ["2.5", "\"2\"", "null", "true", "[2]"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
