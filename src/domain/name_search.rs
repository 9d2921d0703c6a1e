//! Finds names that are typed in another way than they are written: without accents, with other apostrophes, misspelled.

use super::unicode::{caseless, composed, decomposed, is_accent, is_dash, is_punctuation, without_stroke};

/// Names that are suggested at most.
pub const MAX_SUGGESTIONS: usize = 3;
/// Keys that one search for suggestions compares at most: each comparison costs the product of two lengths.
const MAX_COMPARISONS: usize = 500;
/// Longer keys are compared with nothing, in characters.
const MAX_KEY_CHARS: usize = 50;
/// Shorter keys are in too many names for that to mean anything, in characters.
const MIN_PART_CHARS: usize = 3;
/// One typing error in so many characters is forgiven.
const CHARS_PER_ERROR: usize = 3;

/// Folds a text for searches: no case, no accents, no apostrophes, and spaces for dashes.
pub fn unaccented(text: &str) -> String {
    let folded: String = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        // Before the compatible form makes a space and an accent of U+00B4.
        let text: String = text.chars().filter(|character| !is_apostrophe(*character)).collect();
        let letters = decomposed(&caseless(&text)).chars().filter(|character| !is_accent(*character)).fold(
            String::with_capacity(text.len()),
            |mut letters, character| {
                match without_stroke(character) {
                    Some(plain) => letters.push_str(plain),
                    None => letters.push(character),
                }
                letters
            },
        );
        // What is no accent, such as the marks of Japanese and the letters of a Korean syllable, is part of its letter.
        composed(&letters).into_owned()
    };
    let folded: String = folded
        .chars()
        .filter(|character| !is_apostrophe(*character))
        .map(|character| if is_dash(character) { ' ' } else { character })
        .collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Folds a name to its letters, digits and symbols, as [`unaccented`] does and without spaces and punctuation. Empty for a name
/// that has none of them.
pub fn loose_key(name: &str) -> String {
    unaccented(name)
        .chars()
        .filter(|character| !character.is_whitespace() && !is_punctuation(*character))
        .collect()
}

/// Apostrophes, and what stands for one on some keyboards or in some scripts.
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

/// Finds the names whose loose keys are nearest to `wanted`, best first: a few typing errors away, or one part of the other.
pub fn nearest<'n, T>(wanted: &str, names: impl IntoIterator<Item = (&'n str, T)>) -> Vec<T> {
    let length = wanted.chars().count();
    if !(1..=MAX_KEY_CHARS).contains(&length) {
        return Vec::new();
    }
    let max_errors = (length / CHARS_PER_ERROR).max(1);
    let mut found: Vec<(usize, T)> = names
        .into_iter()
        .filter_map(|(key, name)| Some((key, comparable(wanted, length, key, max_errors)?, name)))
        .take(MAX_COMPARISONS)
        .filter_map(|(key, is_part, name)| {
            // A part of a name comes behind all that is merely misspelled.
            let errors = if is_part { max_errors } else { strsim::osa_distance(wanted, key) };
            (errors <= max_errors).then_some((errors, name))
        })
        .collect();
    // Stable: of those that are as near, in the order in which they came.
    found.sort_by_key(|(errors, _)| *errors);
    found.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name).collect()
}

/// Tells keys that are worth comparing, by their lengths or because one is in the other: then, whether that is so.
fn comparable(wanted: &str, length: usize, key: &str, max_errors: usize) -> Option<bool> {
    let key_length = key.chars().count();
    let is_long_enough = length.min(key_length) >= MIN_PART_CHARS;
    let is_part = key != wanted && is_long_enough && (key.contains(wanted) || wanted.contains(key));
    let is_near = key_length <= MAX_KEY_CHARS && key_length.abs_diff(length) <= max_errors;
    (is_part || is_near).then_some(is_part)
}

/// Names to choose from, for people: `"Negroni" or "Negroni Sbagliato"`. None without names.
pub fn alternatives(names: &[String]) -> Option<String> {
    let quoted = |name: &String| format!("\"{name}\"");
    match names {
        [] => None,
        [name] => Some(quoted(name)),
        [others @ .., last] => {
            let others: Vec<_> = others.iter().map(quoted).collect();
            Some(format!("{} or {}", others.join(", "), quoted(last)))
        }
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
        let keys: Vec<_> = menu.iter().map(|name| loose_key(name)).collect();
        let suggested = |wanted: &str| nearest(&loose_key(wanted), keys.iter().map(String::as_str).zip(menu));
        assert_eq!(suggested("Margerita"), ["Margarita"]);
        assert_eq!(suggested("margarita"), ["Margarita", "Tommy's Margarita"]);
        assert_eq!(suggested("Tommys"), ["Tommy's Margarita"]);
        assert_eq!(suggested("colada"), ["Piña Colada", "Virgin Colada"]);
        assert_eq!(suggested("negorni"), ["Negroni"]);
        for nothing in ["", "'", "engine oil", &"x".repeat(10_000)] {
            assert!(suggested(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn as_many_errors_are_forgiven_as_a_name_has_thirds() {
        let suggested =
            |wanted: &str, keys: &[&'static str]| nearest(wanted, keys.iter().map(|key| (*key, *key)));
        for (typed, written) in [("gn", "gin"), ("gni", "gin"), ("nagrani", "negroni"), ("negron", "negroni")]
        {
            assert_eq!(suggested(typed, &[written]), [written], "{typed}");
        }
        for (typed, written) in [("g", "gin"), ("nig", "gin"), ("nagrano", "negroni"), ("", "a")] {
            assert!(suggested(typed, &[written]).is_empty(), "{typed}");
        }
        // What is too long is compared with nothing, on either side.
        let (longest, too_long) = ("x".repeat(50), "x".repeat(51));
        assert_eq!(nearest(&longest, [(longest.as_str(), ())]).len(), 1);
        assert!(nearest(&too_long, [(longest.as_str(), ())]).is_empty());
        let other = format!("{}yy", "x".repeat(49));
        assert!(nearest(&longest, [(other.as_str(), ())]).is_empty());
    }

    #[test]
    fn a_part_of_a_name_counts_from_three_characters_on_and_comes_last() {
        let suggested =
            |wanted: &str, keys: &[&'static str]| nearest(wanted, keys.iter().map(|key| (*key, *key)));
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
        let names = far.iter().map(String::as_str).chain(["negroni"]).map(|key| (key, key));
        assert_eq!(nearest("negorni", names), ["negroni"]);
    }

    #[test]
    fn no_more_keys_are_compared_than_a_request_may_cost() {
        let many: Vec<_> = (0..100_000).map(|number| format!("drink{number:06}")).collect();
        let mut looked_at = 0;
        let names = many.iter().map(|key| (key.as_str(), ())).inspect(|_| looked_at += 1);
        assert_eq!(nearest("drink000001", names).len(), MAX_SUGGESTIONS);
        assert_eq!(looked_at, MAX_COMPARISONS);
    }

    #[test]
    fn several_names_are_told_as_a_choice() {
        let choice =
            |names: &[&str]| alternatives(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(choice(&[]), None);
        assert_eq!(choice(&["A"]).as_deref(), Some("\"A\""));
        assert_eq!(choice(&["A", "B", "C"]).as_deref(), Some("\"A\", \"B\" or \"C\""));
    }
}
