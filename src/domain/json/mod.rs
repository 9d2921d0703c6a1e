//! JSON values that Serde reads otherwise than the API promises.

mod encoding;
mod json_integer;
mod json_object;
mod optional;
mod repeated_keys;

pub use encoding::{utf8, without_bom};
pub use json_integer::JsonInteger;
pub use json_object::JsonObject;
pub use optional::{MayBeAbsent, Optional};
pub use repeated_keys::repeated_keys;
