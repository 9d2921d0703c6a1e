//! Tables as clients write them: as text or as a number.

use super::Table;
use crate::domain::{openapi_schema::described, validation};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use std::fmt;
use utoipa::{
    Number, ToSchema,
    openapi::schema::{AnyOfBuilder, ObjectBuilder, Ref, Type},
};

/// Larger integers are not exact in every JSON implementation (RFC 8259, 6).
const MAX_NUMBER: i64 = (1 << 53) - 1;

/// A table in a body: text, or an integer, which is stored as its digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableLabel(pub Table);

impl<'de> Deserialize<'de> for TableLabel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber)
    }
}

validation::via_serde!(TableLabel, validation::TEXT_OR_NUMBER);

described!(TableLabel: {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(Number::UInt(0)));
    let number = number.maximum(usize::try_from(MAX_NUMBER).ok());
    let either = AnyOfBuilder::new().item(Ref::from_schema_name(Table::name())).item(number);
    either.description(Some("A table as text or as a number: 4 is the same as \"4\".")).into()
});

struct TextOrNumber;

impl Visitor<'_> for TextOrNumber {
    type Value = TableLabel;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a whole number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TableLabel, E> {
        Table::try_from(text).map(TableLabel).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<TableLabel, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<TableLabel, E> {
        match number {
            ..0 => Err(E::custom("must be at least 0")),
            0..=MAX_NUMBER => self.visit_str(&number.to_string()),
            _ => Err(E::custom(format_args!("must be at most {MAX_NUMBER}"))),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<TableLabel, E> {
        if number.fract() != 0.0 {
            return Err(E::custom("must be text or a whole number"));
        }
        // Saturates, and is too large then as well.
        #[allow(clippy::cast_possible_truncation, reason = "there is nothing behind the point")]
        self.visit_i64(number as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_text_or_a_whole_number() {
        let read =
            |json: &str| serde_json::from_str::<TableLabel>(json).ok().map(|label| String::from(label.0));
        for (json, table) in
            [("4", "4"), ("4.0", "4"), ("0", "0"), ("\" 4 \"", "4"), ("9007199254740991", "9007199254740991")]
        {
            assert_eq!(read(json).as_deref(), Some(table), "{json}");
        }
        for json in ["4.5", "-1", "9007199254740992", "1e30", "true", "null", "[4]", "\"\"", "{}"] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
