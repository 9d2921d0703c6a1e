//! The rules on text as regular expressions (ECMA-262), for the API's document.

use super::{
    Form,
    unicode::{is_blank_character, is_invisible, is_visible_alone},
};
use std::{fmt::Write, ops::RangeInclusive, sync::LazyLock};

/// The characters that are trimmed (Unicode's `White_Space`), within brackets.
pub const SPACE: &str = r"\x09-\x0d\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";

/// The text that a form accepts: a line has no invisible character except space around it, and has a character that is visible
/// alone; prose has a character that is not invisible. An expression can't tell the joiners within emoji and words that a line
/// may have, nor invisible characters and marks beyond U+FFFF.
pub fn accepted(form: Form) -> String {
    let CharacterRanges { invisible, blank, not_visible_alone } = &*RANGES;
    match form {
        Form::Line => {
            format!("^[{SPACE}]*[^{invisible}]*[^{not_visible_alone}][^{invisible}]*[{SPACE}]*$")
        }
        Form::Prose => format!("[^{blank}]"),
    }
}

/// Text of spaces and line breaks only.
pub fn space() -> String {
    format!("^[{SPACE}]*$")
}

/// Text of spaces and invisible characters only.
pub fn blank() -> String {
    format!("^[{}]*$", RANGES.blank)
}

/// Classes of characters as ranges within the brackets of an expression. Those beyond U+FFFF are left out: without the flag `u`,
/// which most programs that read such an expression do not set, each is two units, and a range of them is an error.
struct CharacterRanges {
    invisible: String,
    /// Includes spaces as well as invisible characters.
    blank: String,
    not_visible_alone: String,
}

static RANGES: LazyLock<CharacterRanges> = LazyLock::new(|| CharacterRanges {
    invisible: ranges(is_invisible),
    blank: ranges(is_blank_character),
    not_visible_alone: ranges(|character| !is_visible_alone(character)),
});

fn ranges(has: impl Fn(char) -> bool) -> String {
    let mut ranges: Vec<RangeInclusive<u16>> = Vec::new();
    for unit in (0..=u16::MAX).filter(|unit| char::from_u32((*unit).into()).is_some_and(&has)) {
        match ranges.last_mut() {
            Some(last) if last.end().checked_add(1) == Some(unit) => *last = *last.start()..=unit,
            _ => ranges.push(unit..=unit),
        }
    }
    ranges.iter().fold(String::new(), |mut text, range| {
        // Writing to a string does not fail.
        let _ = write!(text, "\\u{:04x}", range.start());
        if range.start() < range.end() {
            let _ = write!(text, "-\\u{:04x}", range.end());
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::{
        Name, Note,
        unicode::{is_blank, is_space},
    };
    use proptest::prelude::*;
    use regex::Regex;

    proptest! {
        #[test]
        fn the_expressions_for_texts_are_their_rules(
            text in "[a\u{85}\u{a0}\u{200b}\u{202e}\u{2028}\u{9f} \r\n\t\x0b\x00ñ\u{3000}\u{2800}\u{e000}🍸\u{301}\u{20dd}\u{fffc}\u{fffd}\u{fffe}\u{fdd0}]{0,6}"
        ) {
            let matches = |pattern: String| Regex::new(&pattern).unwrap().is_match(&text);
            prop_assert_eq!(matches(accepted(Form::Line)), Name::try_from(text.as_str()).is_ok(), "{:?}", text);
            prop_assert_eq!(matches(accepted(Form::Prose)), Note::try_from(text.as_str()).is_ok(), "{:?}", text);
            prop_assert_eq!(matches(space()), is_space(&text), "{:?}", text);
            prop_assert_eq!(matches(blank()), is_blank(&text), "{:?}", text);
            // What counts as no note is what no note can be made of.
            prop_assert_eq!(is_blank(&text), Note::try_from(text.as_str()).is_err(), "{:?}", text);
        }
    }

    #[test]
    fn the_expressions_can_be_read_as_characters_or_as_units_of_utf_16() {
        for expression in [accepted(Form::Line), accepted(Form::Prose), space(), blank()] {
            assert!(expression.is_ascii(), "{expression}");
        }
    }
}
