//! Schemas of the API's document for types that Serde reads and writes as plain text and numbers: a derive can't see their limits.

use utoipa::{
    Number,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, SchemaFormat, Type},
    },
};

/// Gives a type the schema that an expression makes, under its own name. Adds a type that the schema refers to, if no other does.
macro_rules! described {
    ($name:ty $(, with $part:ty)?: $schema:expr) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $schema
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $crate::domain::openapi_schema::name(stringify!($name)).into()
            }

            $(fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
                schemas.push((<$part as utoipa::ToSchema>::name().into(), <$part as utoipa::PartialSchema>::schema()));
                <$part as utoipa::ToSchema>::schemas(schemas);
            })?
        }
    };
}
pub(super) use described;

/// The name of a type in the document. Generated clients have types of these names, so they stay when ours change.
pub fn name(ours: &'static str) -> &'static str {
    if ours == "Timestamp" { "Instant" } else { ours }
}

/// Text of `min` to `max` characters that matches a regular expression (ECMA-262).
pub fn text(description: &str, min: usize, max: usize, pattern: String) -> RefOr<Schema> {
    string(description).min_length(Some(min)).max_length(Some(max)).pattern(Some(pattern)).into()
}

/// Text in a format that JSON Schema names.
pub fn formatted(description: &str, format: &str, example: &str) -> RefOr<Schema> {
    string(description).format(Some(SchemaFormat::Custom(format.into()))).examples([example]).into()
}

/// One of several words, each with its meaning.
pub fn word(description: &str, meanings: &[(&str, &str)]) -> RefOr<Schema> {
    let list: Vec<_> =
        meanings.iter().map(|(word, meaning)| format!("- `{word}`: {}", meaning.trim())).collect();
    string(&format!("{}\n\n{}", description.trim(), list.join("\n")))
        .enum_values(Some(meanings.iter().map(|(word, _)| *word)))
        .into()
}

pub fn integer(description: &str, min: usize, max: usize) -> RefOr<Schema> {
    let number = ObjectBuilder::new().schema_type(Type::Integer).description(Some(description.trim()));
    number.minimum(Some(Number::UInt(min))).maximum(Some(Number::UInt(max))).into()
}

fn string(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description.trim()))
}
