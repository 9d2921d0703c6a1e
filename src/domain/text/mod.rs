//! Text of a bounded length, checked once when it is read.

pub mod name_search;
pub mod patterns;
pub mod search;
mod table_label;
pub(super) mod unicode;

pub use table_label::TableLabel;

use super::{openapi_schema, validation};
use name_search::{LooseWords, loose_key};
use search::SearchPattern;
use serde::{Deserialize, Deserializer, Serialize, de};
use unicode::{caseless, composed, decomposed, is_invisible, is_line_break, is_visible_alone, marked};

/// Readable after the name of the field: `must be …`.
pub type TextError = String;

/// The rules on the characters of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One line of visible characters. Others are refused, because a name must be what it looks like.
    Line,
    /// Text with line breaks. Invisible characters are removed: nobody types them on purpose.
    Prose,
}

/// Checks length (in characters) and characters, trims the text and composes it (NFC).
fn checked(text: &str, form: Form, max: usize) -> Result<String, TextError> {
    let too_long = || format!("must be at most {max} characters");
    // Counted before trimming, as the API's document does.
    if text.chars().nth(max).is_some() {
        return Err(too_long());
    }
    let text = match form {
        Form::Line => visible_line(text.trim())?,
        Form::Prose => without_invisible(text),
    };
    let text = text.trim();
    if text.is_empty() {
        return Err("must not be empty".into());
    }
    if form == Form::Line && !text.chars().any(is_visible_alone) {
        return Err("must have a letter, a digit or another character that is visible by itself".into());
    }
    // Composing turns some characters into more.
    let text = composed(text);
    if text.chars().nth(max).is_some() { Err(too_long()) } else { Ok(text.into_owned()) }
}

fn visible_line(line: &str) -> Result<String, TextError> {
    // Fast for nearly all names.
    if !line.chars().any(is_invisible) {
        return Ok(line.to_owned());
    }
    let hidden = marked(line).into_iter().find(|(_, hidden)| *hidden);
    match hidden {
        None => Ok(line.to_owned()),
        Some((character, _)) if character == '\n' || is_line_break(character) => {
            Err("must be one line".into())
        }
        Some((character, _)) => {
            Err(format!("must not contain invisible characters, such as U+{:04X}", u32::from(character)))
        }
    }
}

fn without_invisible(text: &str) -> String {
    // Fast for nearly all texts.
    let text = text.replace("\r\n", "\n");
    if !text.chars().any(is_invisible) {
        return text;
    }
    let kept = |(character, hidden): (char, bool)| match character {
        '\n' | '\t' => Some(character),
        _ if is_line_break(character) => Some('\n'),
        _ => (!hidden).then_some(character),
    };
    marked(&text).into_iter().filter_map(kept).collect()
}

/// Checks text that was accepted before, perhaps by the rules of an earlier release: it stays as it is.
fn stored(text: String, max: usize) -> Result<String, TextError> {
    if text.chars().nth(max).is_some() {
        return Err(format!("must be at most {max} characters"));
    }
    if text.trim().is_empty() {
        return Err("must not be empty".into());
    }
    if text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t')) {
        return Err("must not contain control characters".into());
    }
    Ok(text)
}

/// Text that was accepted before, which is read without the present rules.
pub trait StoredText: Sized {
    fn from_stored(text: String) -> Result<Self, TextError>;
}

/// Reads text of a message or a row, for Serde.
pub fn deserialize_stored<'de, T: StoredText, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::from_stored(String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// Reads optional text of a message or a row, for Serde.
pub fn deserialize_stored_option<'de, T: StoredText, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(T::from_stored).transpose().map_err(de::Error::custom)
}

/// Declares texts with their rules and their limits in characters. Their comments are descriptions in the API's document.
macro_rules! texts {
    ($($(#[doc = $about:literal])+ $name:ident: $form:ident, $max:literal;)+) => {$(
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub const MAX: usize = $max;

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        validation::via_serde!($name);

        openapi_schema::described!($name: openapi_schema::text(concat!($($about),+), 1, Self::MAX, patterns::accepted(Form::$form)));

        impl StoredText for $name {
            fn from_stored(text: String) -> Result<Self, TextError> {
                stored(text, Self::MAX).map(Self)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = TextError;

            fn try_from(text: &str) -> Result<Self, TextError> {
                checked(text, Form::$form, Self::MAX).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                Self::try_from(text.as_str())
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

texts! {
    /// A remark of a guest or a bartender.
    Note: Prose, 200;
    /// The table of the guest, as its number or name.
    Table: Line, 40;
    /// The name of an account's owner.
    Username: Line, 60;
    /// The name of a drink, a glass, an ingredient or a garnish.
    Name: Line, 80;
    /// The instructions for making a drink.
    Method: Prose, 1000;
    /// A search term: part of a text, whatever its case and accents.
    Search: Prose, 80;
}

impl Search {
    /// Prepares the term for many texts.
    pub fn pattern(&self) -> SearchPattern {
        SearchPattern::of(&self.0)
    }
}

impl Name {
    /// The unique key of a name: names that differ only in case, width or spaces have one key.
    pub fn key(&self) -> String {
        Self::key_of(&self.0)
    }

    pub fn key_of(name: &str) -> String {
        caseless(name)
    }

    /// A key without accents, apostrophes, dashes and spaces, for names that no [`key`](Self::key) finds. None if nothing is left,
    /// or if the text is longer than any name.
    pub fn loose_key_of(name: &str) -> Option<String> {
        Self::can_be(name).then(|| loose_key(name)).filter(|key| !key.is_empty())
    }

    /// The words for which similar names are suggested. None if the text is longer than any name.
    pub fn spoken_words_of(name: &str) -> Option<LooseWords> {
        Self::can_be(name).then(|| LooseWords::spoken(name))
    }

    /// Allows for a name that is decomposed or has space around it, and so has more characters than it counts.
    fn can_be(name: &str) -> bool {
        name.chars().nth(2 * Self::MAX).is_none()
    }
}

impl Table {
    /// The forms that a row may have: earlier releases did not compose the text, and some devices send it decomposed.
    pub fn stored_forms(&self) -> Vec<Self> {
        match decomposed(&self.0) {
            form if form == self.0 => vec![self.clone()],
            form => vec![self.clone(), Self(form.into_owned())],
        }
    }
}

/// Escapes a character that is invisible or changes how its neighbours are shown.
pub fn printable(character: char) -> impl Iterator<Item = char> {
    let escaped = is_invisible(character).then(|| character.escape_default());
    escaped.is_none().then_some(character).into_iter().chain(escaped.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters_as_they_were_sent() {
        assert!(Note::try_from("ñ".repeat(200)).is_ok());
        assert_eq!(Note::try_from("ñ".repeat(201)), Err("must be at most 200 characters".into()));
        assert!(Note::try_from(format!("{} ", "ñ".repeat(199))).is_ok());
        assert!(Note::try_from(format!("{} ", "ñ".repeat(200))).is_err());
        assert_eq!(Name::try_from("  Gin Fizz ").map(String::from), Ok("Gin Fizz".into()));
        assert!(Table::try_from(" \n").is_err());
    }

    #[test]
    fn a_name_is_what_it_looks_like() {
        for name in [
            "Gin\nFizz",
            "Gin\tFizz",
            "Gin\u{ad}Fizz",
            "\u{3164}",
            "\u{2800}",
            "Negroni\u{200e}",
            "a\u{e000}",
            "a\u{fffc}",
            "a\u{fffe}",
            "a\u{fdd0}",
            "\u{1ffff}",
            "\u{301}",
            "\u{93e}\u{20dd}",
            " \u{fffd} \u{301}",
        ] {
            assert!(Name::try_from(name).is_err(), "{name:?}");
            assert!(Table::try_from(name).is_err() && Username::try_from(name).is_err(), "{name:?}");
        }
        assert_eq!(Name::try_from("Gin\nFizz"), Err("must be one line".into()));
        let problem = Name::try_from("Negroni\u{202e}").unwrap_err();
        assert!(problem.ends_with("U+202E"), "{problem}");
        assert_eq!(Name::try_from(" Pin\u{303}a Colada\n").map(String::from), Ok("Piña Colada".into()));
        assert!(Username::try_from("👩\u{200d}🍳").is_ok());
        for name in ["7", "&", "№1", "\u{301}a", "Pi\u{fffd}a", "\u{1faea}", "हि"] {
            assert!(Name::try_from(name).is_ok(), "{name:?}");
        }
        // Composing makes two of each of these.
        assert!(Table::try_from("\u{958}".repeat(40)).is_err());
    }

    #[test]
    fn of_what_people_write_to_each_other_only_what_nobody_sees_is_removed() {
        let note = |text: &str| Note::try_from(text).map(String::from);
        assert_eq!(note("no\u{0}ice\u{202e}"), Ok("noice".into()));
        assert_eq!(
            note("no ice\r\nplease\u{2028}now\rat\u{b}once"),
            Ok("no ice\nplease\nnow\nat\nonce".into())
        );
        assert_eq!(note("👩\u{200d}🍳 \u{1faea} \u{378}"), Ok("👩\u{200d}🍳 \u{1faea} \u{378}".into()));
        assert_eq!(note("\u{200b}\u{3164}"), Err("must not be empty".into()));
        assert_eq!(note("no\u{fffc} ice\u{fffe}\u{fdd0}"), Ok("no ice".into()));
    }

    #[test]
    fn a_table_is_looked_for_as_it_may_have_been_stored() {
        let forms = |table| Table::try_from(table).unwrap().stored_forms();
        assert_eq!(forms("7").len(), 1);
        assert_eq!(forms("Se\u{301}pare\u{301}"), forms("Séparé"));
        let forms: Vec<_> = forms("Séparé").into_iter().map(String::from).collect();
        assert_eq!(forms, ["Séparé", "Se\u{301}pare\u{301}"]);
    }

    #[test]
    fn what_was_taken_before_stays_as_it_is() {
        for name in ["Gin\nFizz", "Pin\u{303}a", " Negroni\u{2060}"] {
            assert_eq!(Name::from_stored(name.into()).map(String::from), Ok(name.into()));
        }
        assert!(Name::from_stored("x".repeat(81)).is_err() && Name::from_stored("a\u{0}".into()).is_err());
    }
}
