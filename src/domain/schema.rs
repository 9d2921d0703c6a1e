//! What the API's document says of types that Serde reads and writes as plain text and numbers: it can't see their limits.

use utoipa::{
    Number,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, SchemaFormat, Type},
    },
};

/// Gives a type the schema that an expression makes, under its own name.
macro_rules! described {
    ($name:ty: $schema:expr) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $schema
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}
pub(crate) use described;

/// Text of 1 to `most` characters.
pub fn text(about: &str, most: usize) -> RefOr<Schema> {
    string(about).min_length(Some(1)).max_length(Some(most)).into()
}

/// Text in a form that has a name.
pub fn formatted(about: &str, format: &str, example: &str) -> RefOr<Schema> {
    string(about).format(Some(SchemaFormat::Custom(format.into()))).examples([example]).into()
}

/// One of these words; `meanings` says what each stands for.
pub fn word(about: &str, meanings: &[(&str, &str)]) -> RefOr<Schema> {
    let list: Vec<_> =
        meanings.iter().map(|(word, meaning)| format!("- `{word}`: {}", meaning.trim())).collect();
    string(&format!("{}\n\n{}", about.trim(), list.join("\n")))
        .enum_values(Some(meanings.iter().map(|(word, _)| *word)))
        .into()
}

/// A whole number.
pub fn whole(about: &str, least: usize, most: usize) -> RefOr<Schema> {
    let number = ObjectBuilder::new().schema_type(Type::Integer).description(Some(about.trim()));
    number.minimum(Some(Number::UInt(least))).maximum(Some(Number::UInt(most))).into()
}

fn string(about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(about.trim()))
}
