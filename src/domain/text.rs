//! Text of a bounded length, checked once at the edge.

use super::{
    name_search::{LooseWords, loose_key},
    search::SearchPattern,
    unicode::{caseless, composed, decomposed, is_invisible, is_line_break, is_visible_alone, marked},
};
use serde::{Deserialize, Deserializer, Serialize, de};

/// Why a text was refused, readable after the field's name.
pub type TextError = String;

/// What may be in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A name: one line, in which every character is seen. What is not is refused, because a name must be what it looks like.
    Line,
    /// What people write to each other. What is not seen is removed: nobody typed it on purpose, and no drink waits for it.
    Prose,
}

/// Checks the length in characters and that the text can be shown and stored, cuts off the space around it and composes it (NFC).
fn checked(text: &str, form: Form, max: usize) -> Result<String, TextError> {
    let too_long = || format!("must be at most {max} characters");
    // As it was sent, as the API's document counts too.
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
        return Err("must have a letter, a digit or another character that can be seen by itself".into());
    }
    // Composing makes a few characters more of some.
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

/// Checks what was taken before, perhaps under rules of an earlier release: what is stored or under way stays as it is.
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

/// Text that was taken before: read without the rules on what is taken now.
pub trait StoredText: Sized {
    /// The text as it is.
    fn from_stored(text: String) -> Result<Self, TextError>;
}

/// Reads text of a message or a row with Serde.
pub fn deserialize_stored<'de, T: StoredText, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::from_stored(String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// Reads text of a message or a row with Serde, if there is one.
pub fn deserialize_stored_option<'de, T: StoredText, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(T::from_stored).transpose().map_err(de::Error::custom)
}

macro_rules! text {
    ($(#[doc = $about:literal])+ $name:ident, $form:ident, $most:literal) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The most characters it may have.
            pub const MAX: usize = $most;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        super::validation::whole!($name);

        super::openapi_schema::described!($name: super::openapi_schema::text(concat!($($about),+), Form::$form, Self::MAX));

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
    };
}

text!(
    /// What a guest or bartender adds in words.
    Note, Prose, 200
);
text!(
    /// Where the guest sits.
    Table, Line, 40
);
text!(
    /// How an account is called.
    Username, Line, 60
);
text!(
    /// How a drink, a glass, an ingredient or a garnish is called.
    Name, Line, 80
);
text!(
    /// How a drink is made.
    Method, Prose, 1000
);

text!(
    /// A search term: some of the characters of a text, whatever their case and accents.
    Search, Prose, 80
);

impl Search {
    /// Folds what is looked for, once for all texts.
    pub fn pattern(&self) -> SearchPattern {
        SearchPattern::of(&self.0)
    }
}

impl Name {
    /// The key that a name is found by: names that differ only in case, width or spaces are one.
    pub fn key(&self) -> String {
        Self::key_of(&self.0)
    }

    /// The key that a name would have.
    pub fn key_of(name: &str) -> String {
        caseless(name)
    }

    /// The key that a name is found by where no other has it: without accents, apostrophes, dashes and spaces. None where
    /// nothing is left, and for what is longer than any name.
    pub fn loose_key_of(name: &str) -> Option<String> {
        Self::can_be(name).then(|| loose_key(name)).filter(|key| !key.is_empty())
    }

    /// The words by which names are suggested for one that is on no menu. None for what is longer than any name.
    pub fn spoken_words_of(name: &str) -> Option<LooseWords> {
        Self::can_be(name).then(|| LooseWords::spoken(name))
    }

    /// Tells what may be a name from what is too long for one. Decomposed, and with space around it, a name is longer than it is.
    fn can_be(name: &str) -> bool {
        name.chars().nth(2 * Self::MAX).is_none()
    }
}

impl Table {
    /// The table as it may stand in a row: earlier releases stored it as it was sent, and some devices send it decomposed.
    pub fn stored_forms(&self) -> Vec<Self> {
        match decomposed(&self.0) {
            form if form == self.0 => vec![self.clone()],
            form => vec![self.clone(), Self(form.into_owned())],
        }
    }
}

/// A character as it is, or how it is written if it would not print or would change how others around it do.
pub fn printable(character: char) -> impl Iterator<Item = char> {
    let written = is_invisible(character).then(|| character.escape_default());
    written.is_none().then_some(character).into_iter().chain(written.into_iter().flatten())
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
