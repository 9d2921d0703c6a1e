//! Finds names that are typed differently: without accents, with other apostrophes, or misspelled.

use super::unicode::{caseless, composed, decomposed, is_accent, is_dash, is_punctuation, without_stroke};

pub const MAX_SUGGESTIONS: usize = 3;
/// Limit on comparisons of one search: each costs the product of two lengths.
const MAX_COMPARISONS: usize = 500;
/// In characters. Longer keys are not compared.
const MAX_KEY_CHARS: usize = 50;
/// In characters. Shorter keys are part of too many names.
const MIN_PART_CHARS: usize = 3;
/// Characters for each typing error that is tolerated.
const CHARS_PER_ERROR: usize = 3;
/// Fewer than in a whole name, because more names have a similar beginning.
const MAX_BEGINNING_ERRORS: usize = 1;
/// Words that some people leave out, or write as `&`, which is punctuation.
const JOINING_WORDS: [&str; 3] = ["and", "n", "+"];

/// Folds text for searches: lower case, no accents or apostrophes, and spaces for dashes.
pub fn unaccented(text: &str) -> String {
    let folded: String = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        // First, because normalizing turns U+00B4 into a space and an accent.
        let text: String = text.chars().filter(|character| !is_apostrophe(*character)).collect();
        let mut letters = String::with_capacity(text.len());
        for character in decomposed(&caseless(&text)).chars().filter(|character| !is_accent(*character)) {
            match without_stroke(character) {
                Some(plain) => letters.push_str(plain),
                None => letters.push(character),
            }
        }
        // Composes what is part of its letter: marks of Japanese, or the letters of a Korean syllable.
        composed(&letters).into_owned()
    };
    let folded: String = folded
        .chars()
        .filter(|character| !is_apostrophe(*character))
        .map(|character| if is_dash(character) { ' ' } else { character })
        .collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The [`unaccented`] name without spaces and punctuation, which may leave nothing.
pub fn loose_key(name: &str) -> String {
    unaccented(name).chars().filter(|character| !is_between_words(*character)).collect()
}

fn is_between_words(character: char) -> bool {
    character.is_whitespace() || is_punctuation(character)
}

/// A [`loose_key`] with the positions at which words end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LooseWords {
    key: String,
    /// In bytes of the key.
    word_ends: Vec<usize>,
}

impl LooseWords {
    pub fn of(name: &str) -> Self {
        Self::joined(unaccented(name).split(is_between_words))
    }

    /// The words of a name without joining words, unless it has no others.
    pub fn spoken(name: &str) -> Self {
        let name = unaccented(name);
        let words = name.split(is_between_words);
        let spoken = Self::joined(words.clone().filter(|word| !JOINING_WORDS.contains(word)));
        if spoken.key.is_empty() { Self::joined(words) } else { spoken }
    }

    fn joined<'w>(words: impl Iterator<Item = &'w str>) -> Self {
        words.filter(|word| !word.is_empty()).fold(Self::default(), |mut joined, word| {
            joined.key.push_str(word);
            joined.word_ends.push(joined.key.len());
            joined
        })
    }

    /// Returns true if the key has these letters where a word begins. They may span several words.
    pub fn has_at_word(&self, letters: &str) -> bool {
        let mut starts = std::iter::once(0).chain(self.word_ends.iter().copied());
        starts.any(|start| self.key.get(start..).is_some_and(|rest| rest.starts_with(letters)))
    }

    /// The beginning of the key, up to the end of a word, whose length is closest to this one.
    fn beginning(&self, length: usize) -> Option<&str> {
        let beginnings = self.word_ends.iter().filter_map(|end| self.key.get(..*end));
        let beginnings = beginnings.filter(|beginning| beginning.len() < self.key.len());
        beginnings.min_by_key(|beginning| beginning.chars().count().abs_diff(length))
    }
}

/// Apostrophes, and their substitutes on some keyboards and in some scripts.
fn is_apostrophe(character: char) -> bool {
    matches!(
        character,
        '\'' | '`'
            | '\u{b4}'
            | '\u{2b9}'
            | '\u{2bb}'..='\u{2bf}'
            | '\u{2c8}'
            | '\u{55a}'
            | '\u{5f3}'
            | '\u{2018}'..='\u{201b}'
            | '\u{2032}'
            | '\u{2035}'
            | '\u{a78c}'
            | '\u{ff07}'
    )
}

/// Finds the names that are most similar to `wanted`, best first: those with few typing errors; then those of which one is part
/// of the other, or whose beginning has at most one typing error.
pub fn nearest<'n, T>(wanted: &LooseWords, names: impl IntoIterator<Item = (&'n LooseWords, T)>) -> Vec<T> {
    let length = wanted.key.chars().count();
    if !(1..=MAX_KEY_CHARS).contains(&length) {
        return Vec::new();
    }
    let mut search = NearestSearch { wanted: &wanted.key, length, comparisons: 0 };
    let mut found = Vec::new();
    for (key, name) in names {
        found.extend(search.errors(key).map(|errors| (errors, name)));
        if search.comparisons >= MAX_COMPARISONS {
            break;
        }
    }
    // Stable: equally similar names keep their order.
    found.sort_by_key(|(errors, _)| *errors);
    found.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name).collect()
}

struct NearestSearch<'w> {
    wanted: &'w str,
    length: usize,
    comparisons: usize,
}

impl NearestSearch<'_> {
    /// The number of typing errors, if there are few enough.
    fn errors(&mut self, name: &LooseWords) -> Option<usize> {
        let max_errors = (self.length / CHARS_PER_ERROR).max(1);
        if self.is_part(&name.key) {
            self.comparisons += 1;
            // After all that are only misspelled.
            return Some(max_errors);
        }
        let whole = self.compare(&name.key, max_errors);
        whole.or_else(|| {
            let beginning = name.beginning(self.length)?;
            let is_long_enough = self.length.min(beginning.chars().count()) >= MIN_PART_CHARS;
            is_long_enough.then(|| self.compare(beginning, MAX_BEGINNING_ERRORS))?.map(|_| max_errors)
        })
    }

    fn is_part(&self, key: &str) -> bool {
        let is_long_enough = self.length.min(key.chars().count()) >= MIN_PART_CHARS;
        key != self.wanted && is_long_enough && (key.contains(self.wanted) || self.wanted.contains(key))
    }

    /// Compares only keys whose lengths are close enough.
    fn compare(&mut self, key: &str, max_errors: usize) -> Option<usize> {
        let length = key.chars().count();
        if length > MAX_KEY_CHARS || length.abs_diff(self.length) > max_errors {
            return None;
        }
        self.comparisons += 1;
        Some(strsim::osa_distance(self.wanted, key)).filter(|errors| *errors <= max_errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_keyboard_gets_wrong_makes_no_other_key() {
        for (typed, written) in [
            ("pina colada", "Piña Colada"),
            ("Tommy’s Margarita", "Tommy's Margarita"),
            ("tommy´s\u{a0}margarita", "Tommy's Margarita"),
            ("tommys margarita", "Tommy＇s Margarita"),
            ("maitai", "Mai-Tai"),
            ("mai tai", "Mai\u{2011}Tai"),
            ("Gin & Tonic", "Gin Tonic"),
            ("smorrebrod sour", "Smørrebrød Sour"),
            ("lodz", "ŁÓDŹ"),
            ("istanbul", "İSTANBUL"),
            ("ΜΑΣΤΙΧΑ", "Μαστίχα"),
            ("елка", "Ёлка"),
            ("cafe creme", "CAFE\u{301} CRE\u{300}ME"),
            ("caipirinha", "ｃａｉｐｉｒｉｎｈａ"),
        ] {
            assert_eq!(loose_key(typed), loose_key(written), "{typed}");
            assert_eq!(LooseWords::of(typed).key, loose_key(typed), "{typed}");
        }
        // Marks that make another letter.
        for (one, other) in [("ハ", "バ"), ("가", "각"), ("Negroni", "Negronis"), ("कि", "क")] {
            assert_ne!(loose_key(one), loose_key(other));
        }
        assert_eq!(loose_key("'-!"), "");
        assert_eq!(loose_key("🍸 №1"), "🍸no1");
        assert_eq!(unaccented(" L’Été  – ici "), "lete ici");
    }

    #[test]
    fn the_nearest_names_are_suggested_and_no_others() {
        let menu = ["Margarita", "Mai Tai", "Negroni", "Piña Colada", "Tommy's Margarita", "Virgin Colada"];
        let keys: Vec<_> = menu.iter().map(|name| LooseWords::spoken(name)).collect();
        let suggested = |wanted: &str| nearest(&LooseWords::spoken(wanted), keys.iter().zip(menu));
        assert_eq!(suggested("Margerita"), ["Margarita"]);
        assert_eq!(suggested("margarita"), ["Margarita", "Tommy's Margarita"]);
        assert_eq!(suggested("Tommys"), ["Tommy's Margarita"]);
        assert_eq!(suggested("colada"), ["Piña Colada", "Virgin Colada"]);
        assert_eq!(suggested("negorni"), ["Negroni"]);
        for nothing in ["", "'", "engine oil", &"x".repeat(10_000)] {
            assert!(suggested(nothing).is_empty(), "{nothing}");
        }
    }

    /// Those of the names that are suggested for another.
    fn suggested<'n>(wanted: &str, names: &[&'n str]) -> Vec<&'n str> {
        let keys: Vec<_> = names.iter().map(|name| LooseWords::of(name)).collect();
        nearest(&LooseWords::of(wanted), keys.iter().zip(names.iter().copied()))
    }

    #[test]
    fn as_many_errors_are_forgiven_as_a_name_has_thirds() {
        for (typed, written) in [("gn", "gin"), ("gni", "gin"), ("nagrani", "negroni"), ("negron", "negroni")]
        {
            assert_eq!(suggested(typed, &[written]), [written], "{typed}");
        }
        for (typed, written) in [("g", "gin"), ("nig", "gin"), ("nagrano", "negroni"), ("", "a")] {
            assert!(suggested(typed, &[written]).is_empty(), "{typed}");
        }
        // What is too long is compared with nothing, on either side.
        let (longest, too_long) = ("x".repeat(50), "x".repeat(51));
        assert_eq!(suggested(&longest, &[&longest]).len(), 1);
        assert!(suggested(&too_long, &[&longest]).is_empty());
        let other = format!("{}yy", "x".repeat(49));
        assert!(suggested(&longest, &[&other]).is_empty());
    }

    #[test]
    fn a_part_of_a_name_counts_from_three_characters_on_and_comes_last() {
        assert_eq!(suggested("gin", &["ginfizz"]), ["ginfizz"]);
        assert_eq!(suggested("ginfizzes", &["gin"]), ["gin"]);
        assert!(suggested("gi", &["ginfizz"]).is_empty());
        assert!(suggested("ginfizzes", &["gi"]).is_empty());
        let keys = ["bigmargaritas", "margarite", "margarita"];
        assert_eq!(suggested("margarita", &keys), ["margarita", "margarite", "bigmargaritas"]);
        // The name itself is no part of it.
        assert_eq!(suggested("negroni", &["negronis", "negroni"]), ["negroni", "negronis"]);
    }

    #[test]
    fn keys_of_quite_another_length_are_not_compared() {
        let far = vec!["x".repeat(40); 2 * MAX_COMPARISONS];
        let names: Vec<_> = far.iter().map(String::as_str).chain(["negroni"]).collect();
        assert_eq!(suggested("negorni", &names), ["negroni"]);
    }

    #[test]
    fn words_that_join_others_and_the_end_of_a_name_may_be_missing() {
        let menu =
            ["Gin and Tonic", "Dark 'n' Stormy", "Whiskey Sour", "Irish Coffee", "Blood and Sand", "Old Tom"];
        let keys: Vec<_> = menu.iter().map(|name| LooseWords::spoken(name)).collect();
        let suggested = |wanted: &str| nearest(&LooseWords::spoken(wanted), keys.iter().zip(menu));
        for (wanted, name) in [
            ("gin & tonic", "Gin and Tonic"),
            ("Gin + Tonic", "Gin and Tonic"),
            ("gin n tonic", "Gin and Tonic"),
            ("GIN TONIC", "Gin and Tonic"),
            ("dark & stormy", "Dark 'n' Stormy"),
            ("dark and stormy", "Dark 'n' Stormy"),
            ("blood sand", "Blood and Sand"),
            ("whisky sour", "Whiskey Sour"),
            ("whisky", "Whiskey Sour"),
            ("Wiskey", "Whiskey Sour"),
            ("irisch", "Irish Coffee"),
        ] {
            assert_eq!(suggested(wanted), [name], "{wanted}");
        }
        // Two errors, too short, in the middle of a name, and nothing.
        for nothing in ["vhisky", "ol", "cofee", "&"] {
            assert!(suggested(nothing).is_empty(), "{nothing}: {:?}", suggested(nothing));
        }
        assert_eq!(LooseWords::spoken("And").key, "and");
    }

    #[test]
    fn no_more_keys_are_compared_than_a_request_may_cost() {
        let many: Vec<_> = (0..100_000).map(|number| LooseWords::of(&format!("drink{number:06}"))).collect();
        let mut looked_at = 0;
        let names = many.iter().map(|key| (key, ())).inspect(|_| looked_at += 1);
        assert_eq!(nearest(&LooseWords::of("drink000001"), names).len(), MAX_SUGGESTIONS);
        assert_eq!(looked_at, MAX_COMPARISONS);
        // Those too of which only the beginning is compared.
        let many: Vec<_> =
            (0..100_000).map(|number| LooseWords::of(&format!("whiskey {number:06}"))).collect();
        let mut looked_at = 0;
        let names = many.iter().map(|key| (key, ())).inspect(|_| looked_at += 1);
        assert_eq!(nearest(&LooseWords::of("whisky"), names).len(), MAX_SUGGESTIONS);
        assert_eq!(looked_at, MAX_COMPARISONS);
    }
}
