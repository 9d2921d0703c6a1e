//! Finds keys that an object has twice, of which readers may take either (RFC 8259, 4).

use crate::domain::validation::{FieldError, FieldPath};
use deserr::ValuePointerRef;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use std::{cell::RefCell, collections::HashSet, fmt};

/// Returns an error for each repeated key of a JSON text, at most `max`. None if the text is not JSON.
pub fn repeated_keys(json: &[u8], max: usize) -> Vec<FieldError> {
    let found = RefCell::new(Vec::new());
    let element = Element { path: ValuePointerRef::Origin, found: &found, max };
    let read = element.deserialize(&mut serde_json::Deserializer::from_slice(json));
    if read.is_ok() { found.into_inner() } else { Vec::new() }
}

struct Element<'a> {
    path: ValuePointerRef<'a>,
    found: &'a RefCell<Vec<FieldError>>,
    max: usize,
}

impl Element<'_> {
    fn note(&self, path: ValuePointerRef<'_>) {
        let mut found = self.found.borrow_mut();
        if found.len() < self.max {
            found.push(FieldError::new(FieldPath::from(path), "is given twice"));
        }
    }
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = fields.next_key::<String>()? {
            let path = self.path.push_key(&key);
            if seen.contains(&key) {
                self.note(path);
            }
            fields.next_value_seed(Element { path, found: self.found, max: self.max })?;
            seen.insert(key);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        for index in 0.. {
            let path = self.path.push_index(index);
            let element = Element { path, found: self.found, max: self.max };
            if elements.next_element_seed(element)?.is_none() {
                break;
            }
        }
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
        for (json, fields) in [
            (r#"{"recipe":"Negroni","recipe":"Gin Fizz"}"#, &["recipe"][..]),
            (r#"{"items":[{"recipe":"a"},{"recipe":"a","note":null,"recipe":"b"}]}"#, &["items[1].recipe"]),
            (r#"{"a":{"[0]":1,"[0]":2},"b":1,"b":[{"c":1,"c":2}]}"#, &["a.[0]", "b", "b[0].c"]),
            (r#"{"a":{"b":[1,-2,3.5,true,null]},"b":{"a":{}}}"#, &[]),
            ("7", &[]),
            (r#"{"a":1,"a""#, &[]),
            ("{", &[]),
        ] {
            let found: Vec<_> = repeated_keys(json.as_bytes(), 3)
                .into_iter()
                .map(|invalid| invalid.field.to_string())
                .collect();
            assert_eq!(found, fields, "{json}");
            assert_eq!(repeated_keys(json.as_bytes(), 1).len(), fields.len().min(1));
        }
    }
}
