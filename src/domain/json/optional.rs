//! Fields of bodies and files that may be absent.

use super::JsonInteger;
use crate::domain::text::{
    Name, Note, TableLabel,
    unicode::{is_blank, is_space},
};
use deserr::{DeserializeError, Deserr, IntoValue, Value, ValuePointerRef};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        Error, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use std::{fmt, marker::PhantomData};

/// A field that may be absent. `null`, `""` and text of spaces count as absent for every type, because forms and serialisers send
/// them for empty inputs. Every optional field of a body has this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Optional<T>(pub Option<T>);

/// The type of an optional field.
pub trait MayBeAbsent {
    fn is_absent(text: &str) -> bool {
        is_space(text)
    }
}

/// Invisible characters are removed from a note, and may leave nothing.
impl MayBeAbsent for Note {
    fn is_absent(text: &str) -> bool {
        is_blank(text)
    }
}

impl<T> MayBeAbsent for Vec<T> {}

impl MayBeAbsent for bool {}
impl MayBeAbsent for String {}
impl MayBeAbsent for Name {}
impl MayBeAbsent for TableLabel {}
impl MayBeAbsent for JsonInteger {}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de> + MayBeAbsent> Deserialize<'de> for Optional<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `deserialize_any`: only for an option does Serde accept a missing field.
        deserializer.deserialize_option(OptionalVisitor(PhantomData))
    }
}

impl<T: Deserr<E> + MayBeAbsent, E: DeserializeError> Deserr<E> for Optional<T> {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, path: ValuePointerRef<'_>) -> Result<Self, E> {
        match value {
            Value::Null => Ok(Self(None)),
            Value::String(text) if T::is_absent(&text) => Ok(Self(None)),
            value => T::deserialize_from_value(value, path).map(|value| Self(Some(value))),
        }
    }
}

struct OptionalVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> OptionalVisitor<T> {
    fn read<D: Deserializer<'de>>(value: D) -> Result<Optional<T>, D::Error> {
        T::deserialize(value).map(|value| Optional(Some(value)))
    }
}

impl<'de, T: Deserialize<'de> + MayBeAbsent> Visitor<'de> for OptionalVisitor<T> {
    type Value = Optional<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, or nothing")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Optional(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_any(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if T::is_absent(text) { Ok(Optional(None)) } else { Self::read(text.into_deserializer()) }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Self::read(value.into_deserializer())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Self::read(value.into_deserializer())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Self::read(value.into_deserializer())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Self::read(value.into_deserializer())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Self::Value, A::Error> {
        Self::read(SeqAccessDeserializer::new(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        Self::read(MapAccessDeserializer::new(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{order::Quantity, validation::FieldErrors};
    use serde_json::{Value, json};

    #[derive(Debug, PartialEq, Deserialize, Deserr)]
    struct Body {
        #[deserr(default)]
        quantity: Optional<Quantity>,
        #[deserr(default)]
        note: Optional<Note>,
        #[deserr(default)]
        notes: Optional<Vec<Note>>,
        #[deserr(default)]
        garnish: Optional<Name>,
        #[deserr(default)]
        active: Optional<bool>,
    }

    const ABSENT: Body = Body {
        quantity: Optional(None),
        note: Optional(None),
        notes: Optional(None),
        garnish: Optional(None),
        active: Optional(None),
    };

    /// Returns the results of both ways of reading.
    fn read(body: &Value) -> Option<Body> {
        let by_serde = serde_json::from_str(&body.to_string()).ok();
        let by_deserr = deserr::deserialize::<Body, _, FieldErrors>(body.clone()).ok();
        assert_eq!(by_serde, by_deserr, "{body}");
        by_serde
    }

    #[test]
    fn nothing_and_spaces_are_absent_whatever_the_type() {
        assert_eq!(read(&json!({})), Some(ABSENT));
        for field in ["quantity", "note", "notes", "garnish", "active"] {
            for nothing in [Value::Null, json!(""), json!(" \u{a0}\r\n")] {
                assert_eq!(read(&json!({ field: nothing })), Some(ABSENT), "{field}: {nothing}");
            }
        }
        assert_eq!(read(&json!({ "note": " \u{200b}\u{3164}" })), Some(ABSENT));
        assert_eq!(read(&json!({ "garnish": "\u{3164}" })), None);
    }

    #[test]
    fn what_is_there_is_read_as_its_type() {
        let body =
            read(&json!({ "quantity": 2.0, "note": "no ice", "notes": ["a"], "active": false })).unwrap();
        assert_eq!(body.quantity.0.map(Quantity::get), Some(2));
        assert_eq!(body.note.0.map(String::from), Some("no ice".into()));
        assert_eq!((body.notes.0.map(|notes| notes.len()), body.active.0), (Some(1), Some(false)));
        for wrong in [
            json!({ "quantity": 21 }),
            json!({ "quantity": "2" }),
            json!({ "note": "x".repeat(201) }),
            json!({ "note": 7 }),
            json!({ "notes": [""] }),
            json!({ "notes": [null] }),
            json!({ "notes": {} }),
            json!({ "active": 1 }),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }
}
