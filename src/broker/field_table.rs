//! Reading and writing the tables of AMQP: arguments and headers.

use amqprs::{FieldTable, FieldValue};

pub fn table<const N: usize>(entries: [(&str, FieldValue); N]) -> FieldTable {
    let mut table = FieldTable::new();
    for (key, value) in entries {
        insert(&mut table, key, value);
    }
    table
}

pub fn insert(table: &mut FieldTable, key: &str, value: FieldValue) {
    // Only a key of more than 255 bytes fails, and the keys are those above.
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
