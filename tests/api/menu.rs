//! The menu: reading it, changing it, and ordering from it.

mod changes;
mod loose_names;
mod names;
mod reading;
mod replacing;
mod tags;
mod wrong;

use serde_json::{Value, json};

/// A recipe that the demo menu does not have.
fn glass_of_water() -> Value {
    json!({
        "name": "Glass of Water",
        "build": "built",
        "glass": "highball",
        "ingredients": [
            { "name": "water", "amount": 200, "unit": "ml" },
            { "name": "lemon", "amount": 1, "unit": "slice" },
        ],
        "method": "Pour and smile.",
    })
}

fn water_with(field: &str, value: Value) -> Value {
    let mut recipe = glass_of_water();
    recipe[field] = value;
    recipe
}
