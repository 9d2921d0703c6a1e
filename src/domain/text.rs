//! Text of a bounded length, checked once at the edge.

use serde::{Deserialize, Serialize};

/// Why a text was refused, readable after the field's name.
pub type Problem = String;

/// Checks the length in characters and that the text can be shown and stored, and cuts off the space around it.
fn checked(text: &str, most: usize) -> Result<String, Problem> {
    // As it was sent, as the API's document counts too.
    if text.chars().nth(most).is_some() {
        return Err(format!("must be at most {most} characters"));
    }
    let text = text.trim();
    if text.is_empty() {
        return Err("must not be empty".into());
    }
    // Control characters have no place in a name or a note, and PostgreSQL stores no NUL.
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err("must not contain control characters".into());
    }
    // Nor has what is not seen, or turns round what is. (Joiners stay: some scripts and emoji need them.)
    if text
        .chars()
        .any(|c| matches!(c, '\u{200b}' | '\u{feff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    {
        return Err("must not contain invisible characters".into());
    }
    Ok(text.to_owned())
}

macro_rules! text {
    ($(#[doc = $about:literal])+ $name:ident, $most:literal) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The most characters it may have.
            pub const MOST: usize = $most;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        super::validation::whole!($name);

        super::schema::described!($name: super::schema::text(concat!($($about),+), Self::MOST));

        impl TryFrom<&str> for $name {
            type Error = Problem;

            fn try_from(text: &str) -> Result<Self, Problem> {
                checked(text, Self::MOST).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Problem;

            fn try_from(text: String) -> Result<Self, Problem> {
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
    Note, 200
);
text!(
    /// Where the guest sits.
    Table, 40
);
text!(
    /// How an account is called.
    Username, 60
);
text!(
    /// How a drink, a glass, an ingredient or a garnish is called.
    Name, 80
);
text!(
    /// How a drink is made.
    Method, 1000
);

text!(
    /// What somebody looks for: some of the characters of a text, whatever their case.
    Search, 80
);

impl Search {
    /// Whether it is found in one of these texts. Decided here, because databases differ in what they know of cases.
    pub fn is_in<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        let wanted = self.0.to_lowercase();
        texts.into_iter().any(|text| text.to_lowercase().contains(&wanted))
    }
}

impl Name {
    /// What a name is found by: two names that differ only in case are the same.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

/// A character as it is, or how it is written if it would not print.
pub fn printable(character: char) -> impl Iterator<Item = char> {
    let written = character.is_control().then(|| character.escape_default());
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
    fn a_search_finds_parts_whatever_their_case_and_nothing_is_a_wildcard() {
        let finds = |search: &str, text| Search::try_from(search).is_ok_and(|search| search.is_in([text]));
        assert!(finds("PIÑA", "Piña Colada") && finds(" colada ", "Piña Colada") && finds("ß", "Groß"));
        assert!(finds("100%", "100% agave") && finds("a_b", "A_B"));
        assert!(!finds("%", "Negroni") && !finds("a_b", "axb") && !finds("pina", "Piña Colada"));
    }

    #[test]
    fn what_can_not_be_stored_is_refused() {
        assert!(Note::try_from("no\u{0}ice").is_err());
        assert!(Note::try_from("\u{200b}").is_err() && Note::try_from("\u{202e}eci on").is_err());
        assert!(Note::try_from("no ice\nplease").is_ok());
    }
}
