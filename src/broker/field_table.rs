//! AMQP field tables: arguments and headers.

use amqprs::{FieldTable, FieldValue};

pub fn table<const N: usize>(entries: [(&str, FieldValue); N]) -> FieldTable {
    let mut table = FieldTable::new();
    for (key, value) in entries {
        insert(&mut table, key, value);
    }
    table
}

pub fn insert(table: &mut FieldTable, key: &str, value: FieldValue) {
    // This fails only for a key of more than 255 bytes, and all keys are literals.
    if let Ok(key) = key.try_into() {
        table.insert(key, value);
    }
}

pub fn text<'a>(headers: &'a FieldTable, name: &str) -> Option<&'a str> {
    match headers.get(&name.try_into().ok()?)? {
        FieldValue::S(text) => Some(text.as_ref()),
        _ => None,
    }
}
