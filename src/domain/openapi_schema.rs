//! What the API's document says of types that Serde reads and writes as plain text and numbers: it can't see their limits.

use super::{
    text::Form,
    unicode::{CharacterRanges, RANGES},
};
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

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $crate::domain::openapi_schema::name(stringify!($name)).into()
            }
        }
    };
}
pub(crate) use described;

/// The name of a type in the document. Generated clients have types of these names, so they stay when ours change.
pub fn name(ours: &'static str) -> &'static str {
    if ours == "Timestamp" { "Instant" } else { ours }
}

/// Text of 1 to `most` characters that can be shown.
pub fn text(about: &str, form: Form, most: usize) -> RefOr<Schema> {
    string(about).min_length(Some(1)).max_length(Some(most)).pattern(Some(taken(form))).into()
}

/// What [`super::text`] takes, as a regular expression (ECMA-262): in a line nothing is invisible but the space around it, and
/// something shows by itself; in prose something is not invisible. Joiners within emoji and words, which a line may have, and
/// invisible characters and marks beyond U+FFFF, which don't count in it, are beyond what an expression can say.
fn taken(form: Form) -> String {
    let CharacterRanges { invisible, blank, not_visible_alone } = &*RANGES;
    match form {
        Form::Line => {
            format!("^[{SPACE}]*[^{invisible}]*[^{not_visible_alone}][^{invisible}]*[{SPACE}]*$")
        }
        Form::Prose => format!("[^{blank}]"),
    }
}

/// Text of spaces and line breaks only, as a regular expression (ECMA-262).
pub fn space() -> String {
    format!("^[{SPACE}]*$")
}

/// Text in which nothing is seen, as a regular expression (ECMA-262).
pub fn blank() -> String {
    format!("^[{}]*$", RANGES.blank)
}

/// What is cut off (Unicode's `White_Space`), within brackets.
const SPACE: &str = r"\x09-\x0d\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";

/// An e-mail address of at most `most` characters.
pub fn email(about: &str, most: usize) -> RefOr<Schema> {
    // Not of the format `email`: that knows no space around an address, which phones like to add.
    let string = string(about).min_length(Some(3)).max_length(Some(most));
    string.pattern(Some(address())).examples(["ana@example.com"]).into()
}

/// What [`super::account::Email`] takes, as a regular expression (ECMA-262).
fn address() -> String {
    let inner = "[!-\\-/-?A-~]";
    format!("^[{SPACE}]*[!-?A-~]+@{inner}([!-?A-~]*{inner})?[{SPACE}]*$")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        account::Email,
        text::{Name, Note},
        unicode::{is_blank, is_space},
    };
    use proptest::prelude::*;
    use regex::Regex;

    proptest! {
        #[test]
        fn the_expressions_for_texts_are_their_rules(
            text in "[a\u{85}\u{a0}\u{200b}\u{202e}\u{2028}\u{9f} \r\n\t\x0b\x00ñ\u{3000}\u{2800}\u{e000}🍸\u{301}\u{20dd}\u{fffc}\u{fffd}\u{fffe}\u{fdd0}]{0,6}"
        ) {
            let fits = |form| Regex::new(&taken(form)).unwrap().is_match(&text);
            prop_assert_eq!(fits(Form::Line), Name::try_from(text.as_str()).is_ok(), "{:?}", text);
            prop_assert_eq!(fits(Form::Prose), Note::try_from(text.as_str()).is_ok(), "{:?}", text);
            let matches = |pattern: String| Regex::new(&pattern).unwrap().is_match(&text);
            prop_assert_eq!(matches(space()), is_space(&text), "{:?}", text);
            prop_assert_eq!(matches(blank()), is_blank(&text), "{:?}", text);
            // What counts as no note is what no note can be made of.
            prop_assert_eq!(is_blank(&text), Note::try_from(text.as_str()).is_err(), "{:?}", text);
        }

        #[test]
        fn the_expression_for_addresses_is_their_rule(text in "[a.@\\-ñ\u{a0} \r]{0,8}") {
            let fits = Regex::new(&address()).unwrap().is_match(&text);
            prop_assert_eq!(fits, Email::try_from(text.as_str()).is_ok());
        }
    }

    #[test]
    fn the_expressions_can_be_read_as_characters_or_as_units_of_utf_16() {
        for expression in [taken(Form::Line), taken(Form::Prose), space(), blank(), address()] {
            assert!(expression.is_ascii(), "{expression}");
        }
    }
}
