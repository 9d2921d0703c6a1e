//! Searches for part of a text, whatever its case and accents. Not done by the databases, which fold cases in different ways.

use super::{
    name_search::{LooseWords, loose_key, unaccented},
    unicode::caseless,
};

/// In characters. Shorter terms match only within a word: too many words begin with them.
const MIN_LOOSE_CHARS: usize = 3;

/// A search term, prepared for many texts.
pub enum SearchPattern {
    /// Without apostrophes and dashes nothing is left, which would match every text.
    Punctuation(String),
    Folded {
        unaccented: String,
        /// Letters, digits and symbols only, if there are enough of them.
        loose: Option<String>,
    },
}

impl SearchPattern {
    pub fn of(search: &str) -> Self {
        let unaccented = unaccented(search);
        if unaccented.is_empty() {
            return Self::Punctuation(caseless(search));
        }
        let loose = Some(loose_key(search)).filter(|key| key.chars().nth(MIN_LOOSE_CHARS - 1).is_some());
        Self::Folded { unaccented, loose }
    }

    /// Returns true if one of these texts contains the term.
    pub fn is_in<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        texts.into_iter().any(|text| match self {
            Self::Punctuation(wanted) => caseless(text).contains(wanted),
            Self::Folded { unaccented: wanted, .. } => unaccented(text).contains(wanted),
        })
    }

    /// The same for a prepared name, in which punctuation and spaces after the beginning of a word are ignored.
    pub fn is_in_name(&self, name: &SearchableName) -> bool {
        match self {
            Self::Punctuation(wanted) => caseless(&name.text).contains(wanted),
            Self::Folded { unaccented, loose } => {
                name.unaccented.contains(unaccented)
                    || loose.as_ref().is_some_and(|wanted| name.words.has_at_word(wanted))
            }
        }
    }
}

/// A name, prepared for many searches.
#[derive(Debug)]
pub struct SearchableName {
    text: String,
    unaccented: String,
    words: LooseWords,
}

impl SearchableName {
    pub fn of(name: &str) -> Self {
        Self { text: name.to_owned(), unaccented: unaccented(name), words: LooseWords::of(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_parts_whatever_their_case_and_nothing_is_a_wildcard() {
        let finds = |search: &str, text: &str| {
            let pattern = SearchPattern::of(search);
            let is_in = pattern.is_in([text]);
            assert!(!is_in || pattern.is_in_name(&SearchableName::of(text)), "{search} {text}");
            is_in
        };
        assert!(finds("PIÑA", "Piña Colada") && finds(" colada ", "Piña Colada") && finds("ß", "Groß"));
        assert!(finds("100%", "100% agave") && finds("a_b", "A_B"));
        assert!(!finds("%", "Negroni") && !finds("a_b", "axb"));
        assert!(finds("pina", "Piña Colada") && finds("PIÑA", "Pina Colada") && finds("ΜΑΣ", "Μαστίχα Sour"));
        assert!(finds("tommy’s", "Tommy's Margarita") && finds("mai-tai", "Mai\u{a0}Tai"));
        // Nothing is left of these but what they are.
        assert!(finds("'", "Tommy's") && !finds("'", "Negroni") && !finds("-", "Negroni"));
        // Letters of two words are not side by side.
        assert!(!finds("nf", "Gin Fizz"));
    }

    #[test]
    fn in_a_name_punctuation_and_spaces_do_not_count_from_the_beginning_of_a_word_on() {
        let finds =
            |search: &str, name: &str| SearchPattern::of(search).is_in_name(&SearchableName::of(name));
        for (search, name) in [
            ("b52", "B-52"),
            ("B 52", "B52"),
            ("b-52", "b.52"),
            ("pinacolada", "Piña Colada"),
            ("PINACOL", "Piña Colada"),
            ("maitai", "Frozen Mai-Tai"),
            ("gin & tonic", "Gin Tonic"),
            ("oldtom", "old tom gin"),
        ] {
            assert!(finds(search, name), "{search} {name}");
        }
        for (search, name) in [
            ("rum", "Pear Umbrella"),
            ("nfi", "Gin Fizz"),
            ("b5", "B-52"),
            ("'", "Negroni"),
            ("tonicgin", "Gin Tonic"),
        ] {
            assert!(!finds(search, name), "{search} {name}");
        }
    }
}
