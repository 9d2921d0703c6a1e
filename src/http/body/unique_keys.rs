//! Finds fields that an object has twice: two readers could take either of them for the one that counts (RFC 8259, 4).

use crate::domain::{Invalid, validation::FieldPath};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_path_to_error::{Segment, Track};
use std::{collections::HashSet, fmt};

/// The first field of a JSON text that is given twice. None also for what is no JSON.
pub fn repeated_key(json: &[u8]) -> Option<Invalid> {
    let mut track = Track::new();
    let json = &mut serde_json::Deserializer::from_slice(json);
    let read =
        Element { repeated: false }.deserialize(serde_path_to_error::Deserializer::new(json, &mut track));
    // Only a repeated field is data that is wrong; all else that can fail here is syntax.
    read.is_err_and(|error| error.is_data())
        .then(|| Invalid::new(field_path(&track.path()), "is given twice"))
}

fn field_path(path: &serde_path_to_error::Path) -> FieldPath {
    path.iter().fold(FieldPath::ROOT, |path, segment| match segment {
        Segment::Seq { index } => path.index(*index),
        Segment::Map { key } => path.key(key),
        Segment::Enum { .. } | Segment::Unknown => path,
    })
}

/// A value of any kind. Of a repeated field it is the value that fails, for errors have the place of the value that is read.
struct Element {
    repeated: bool,
}

impl<'de> DeserializeSeed<'de> for Element {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.repeated { Err(D::Error::custom("repeated")) } else { deserializer.deserialize_any(self) }
    }
}

impl<'de> Visitor<'de> for Element {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = fields.next_key::<String>()? {
            fields.next_value_seed(Self { repeated: !seen.insert(key) })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(Self { repeated: false })?.is_some() {}
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_field_is_found_wherever_it_is() {
        for (json, field) in [
            (r#"{"recipe":"Negroni","recipe":"Gin Fizz"}"#, Some("recipe")),
            (
                r#"{"items":[{"recipe":"a"},{"recipe":"a","note":null,"recipe":"b"}]}"#,
                Some("items[1].recipe"),
            ),
            (r#"{"a":{"[0]":1,"[0]":2}}"#, Some("a.[0]")),
            (r#"{"a":{"b":[1,-2,3.5,true,null]},"b":{"a":{}}}"#, None),
            ("7", None),
            (r#"{"a":1,"a""#, None),
            ("{", None),
        ] {
            let found = repeated_key(json.as_bytes()).map(|invalid| invalid.field.to_string());
            assert_eq!(found.as_deref(), field, "{json}");
        }
    }
}
