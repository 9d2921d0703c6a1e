//! Unicode: normal forms, in which equal texts are equal bytes, and classes of characters, such as invisible ones.

use icu_casemap::CaseMapperBorrowed;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{
        Alphabetic, DefaultIgnorableCodePoint, Emoji, EmojiModifier, ExtendedPictographic, GeneralCategory,
        GeneralCategoryGroup, Script,
    },
};
use std::borrow::Cow;

const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();
const NFD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfd();
const CASES: CaseMapperBorrowed<'static> = CaseMapperBorrowed::new();

/// Control, format and private characters, and the separators of lines and paragraphs. Surrogates are no `char`.
const INVISIBLE: GeneralCategoryGroup = GeneralCategoryGroup::Control
    .union(GeneralCategoryGroup::Format)
    .union(GeneralCategoryGroup::PrivateUse)
    .union(GeneralCategoryGroup::LineSeparator)
    .union(GeneralCategoryGroup::ParagraphSeparator);
/// Characters that show nothing, though their categories say otherwise: the Braille pattern without dots, a musical null
/// notehead, the Khitan script's filler, and the object replacement character.
const BLANKS: [char; 4] = ['\u{2800}', '\u{1d159}', '\u{16fe4}', '\u{fffc}'];
const REPLACEMENT: char = '\u{fffd}';
const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
const BLACK_FLAG: char = '\u{1f3f4}';

/// Scripts in which a joiner between two letters changes how a word is written (UAX 31, 2.3).
const JOINING_SCRIPTS: [Script; 17] = [
    Script::Arabic,
    Script::Bengali,
    Script::Devanagari,
    Script::Gujarati,
    Script::Gurmukhi,
    Script::Kannada,
    Script::Khmer,
    Script::Malayalam,
    Script::Mongolian,
    Script::Myanmar,
    Script::Nko,
    Script::Oriya,
    Script::Sinhala,
    Script::Syriac,
    Script::Tamil,
    Script::Telugu,
    Script::Tibetan,
];

/// The composed form (NFC): equal for texts that differ only in how letters and marks are combined.
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { NFC.normalize(text) }
}

/// The composed form without compatibility variants, such as full width (NFKC).
pub fn compatible(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { NFKC.normalize(text) }
}

/// The decomposed form (NFD): each letter is followed by its marks.
pub fn decomposed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { NFD.normalize(text) }
}

/// A key that is equal for texts that differ only in case, width, ligatures, invisible characters, or the kind and number of
/// spaces: NFKC with full case folding.
pub fn caseless(text: &str) -> String {
    let folded = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        let text: String = text.chars().filter(|character| !ignorable.contains(*character)).collect();
        // Folding can undo the normal form, and normalizing can yield characters that fold further (Unicode 3.13, D146).
        let once = CASES.fold_string(&NFKC.normalize(&text)).into_owned();
        NFKC.normalize(&CASES.fold_string(&NFKC.normalize(&once))).into_owned()
    };
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Marks that people leave out when they type: those that any script may use, and the optional vowels of Hebrew and Arabic. Not
/// those that make another letter, as in Japanese, Thai or Hindi.
pub fn is_accent(mark: char) -> bool {
    !matches!(mark, '\u{3099}' | '\u{309a}')
        && category(mark) == GeneralCategory::NonspacingMark
        && matches!(script(mark), Script::Inherited | Script::Hebrew | Script::Arabic)
}

pub fn is_dash(character: char) -> bool {
    category(character) == GeneralCategory::DashPunctuation
}

/// Punctuation, and accents without a letter.
pub fn is_punctuation(character: char) -> bool {
    GeneralCategoryGroup::Punctuation
        .union(GeneralCategoryGroup::ModifierSymbol)
        .contains(category(character))
}

/// Replaces letters with a stroke, and ligatures, which no normal form decomposes, by the letters that people type instead.
pub fn without_stroke(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ŧ' => "t",
        'ı' => "i",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        _ => return None,
    })
}

/// Line breaks other than `\n`: the carriage return, those of word processors, and Unicode's.
pub fn is_line_break(character: char) -> bool {
    matches!(character, '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Characters that show nothing, unless a neighbour needs them (see [`marked`]). Tab and line feed are among them.
pub fn is_invisible(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    INVISIBLE.contains(category(character))
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
        || BLANKS.contains(&character)
        || is_noncharacter(character)
}

/// Code points that will never be characters (Unicode 23.7) and show nothing.
fn is_noncharacter(character: char) -> bool {
    let code = u32::from(character);
    matches!(code, 0xfdd0..=0xfdef) || code & 0xfffe == 0xfffe
}

/// Returns true for text of spaces and line breaks only, also for none.
pub fn is_space(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// Returns true for text of spaces and invisible characters only, also for none.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_blank_character)
}

pub fn is_blank_character(character: char) -> bool {
    character.is_whitespace() || is_invisible(character)
}

/// Characters that are visible alone: not invisible ones, not marks on the character before them, and not the replacement
/// character. Unassigned ones are taken for new emoji.
pub fn is_visible_alone(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_graphic();
    }
    !is_blank_character(character)
        && character != REPLACEMENT
        && !GeneralCategoryGroup::Mark.contains(category(character))
}

/// Marks each character that is invisible and that no neighbour needs: emoji are composed with joiners and selectors, and some
/// scripts separate letters with them.
pub fn marked(text: &str) -> Vec<(char, bool)> {
    let characters: Vec<char> = text.chars().collect();
    let mut marked = Vec::with_capacity(characters.len());
    for (at, &character) in characters.iter().enumerate() {
        let (before, after) = characters.split_at_checked(at).unwrap_or_default();
        let next = after.get(1).copied();
        marked.push((character, is_invisible(character) && !is_needed(character, before, next)));
    }
    marked
}

fn is_needed(character: char, before: &[char], next: Option<char>) -> bool {
    let Some(&last) = before.last() else { return false };
    match character {
        ZERO_WIDTH_JOINER => joins_letters(last, next) || joins_emoji(before, next),
        ZERO_WIDTH_NON_JOINER => joins_letters(last, next),
        // Variation selectors: text or picture.
        '\u{fe0e}' | '\u{fe0f}' => CodePointSetData::new::<Emoji>().contains(last),
        // Variants of an ideograph.
        '\u{e0100}'..='\u{e01ef}' => script(last) == Script::Han,
        '\u{180b}'..='\u{180d}' | '\u{180f}' => script(last) == Script::Mongolian,
        // Tags, in the flag of a region.
        '\u{e0020}'..='\u{e007f}' => last_but(before, is_tag) == Some(BLACK_FLAG),
        _ => false,
    }
}

fn joins_letters(last: char, next: Option<char>) -> bool {
    let same =
        |next: char| script(next) == script(last) && CodePointSetData::new::<Alphabetic>().contains(next);
    JOINING_SCRIPTS.contains(&script(last)) && next.is_some_and(same)
}

fn joins_emoji(before: &[char], next: Option<char>) -> bool {
    let pictographs = CodePointSetData::new::<ExtendedPictographic>();
    let skin_tones = CodePointSetData::new::<EmojiModifier>();
    let modifies = |character: char| character == '\u{fe0f}' || skin_tones.contains(character);
    let first = last_but(before, modifies);
    first.is_some_and(|first| pictographs.contains(first))
        && next.is_some_and(|next| pictographs.contains(next))
}

/// The last character that is no modifier of another.
fn last_but(characters: &[char], is_modifier: impl Fn(char) -> bool) -> Option<char> {
    characters.iter().rev().copied().find(|character| !is_modifier(*character))
}

fn is_tag(character: char) -> bool {
    ('\u{e0020}'..='\u{e007e}').contains(&character)
}

fn category(character: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(character)
}

fn script(character: char) -> Script {
    CodePointMapData::<Script>::new().get(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> usize {
        marked(text).into_iter().filter(|(_, hidden)| *hidden).count()
    }

    #[test]
    fn what_nobody_sees_is_found() {
        for character in "\u{0}\u{7f}\u{85}\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\u{200b}\u{200c}\u{200d}\u{200e}\u{202e}\u{2028}\u{2060}\u{2066}\u{2800}\u{3164}\u{16fe4}\u{1d159}\u{e000}\u{fe0f}\u{feff}\u{ffa0}\u{e0041}\u{f0000}\u{10fffd}\u{fffc}\u{fdd0}\u{fdef}\u{fffe}\u{ffff}\u{1fffe}\u{10ffff}\n\t".chars() {
            assert!(is_invisible(character), "{character:?}");
            assert_eq!(hidden(&format!("a{character}b")), 1, "{character:?}");
        }
        for character in
            "aßñ漢\u{301}\u{93e} \u{a0}\u{3000}🍸\u{1faea}\u{378}\u{fdcf}\u{fdf0}\u{fffd}".chars()
        {
            assert!(!is_invisible(character), "{character:?}");
        }
    }

    #[test]
    fn letters_digits_punctuation_and_symbols_show_something_alone_and_marks_do_not() {
        for character in "a7-'&ñ漢ह№€🍸\u{1faea}\u{a8}\u{60}".chars() {
            assert!(is_visible_alone(character), "{character:?}");
        }
        // Marks of every kind: without space of their own, with it, and around others.
        for character in
            "\u{301}\u{5b0}\u{93e}\u{20dd}\u{20e3}\u{fffd}\u{fffc}\u{fffe}\u{3164} \u{a0}\n".chars()
        {
            assert!(!is_visible_alone(character), "{character:?}");
        }
        assert!(is_blank("") && is_blank(" \u{a0}\t\u{200b}\u{3164}\u{fffe}"));
        assert!(!is_blank(" .") && !is_blank("\u{301}") && !is_blank("\u{fffd}"));
    }

    #[test]
    fn emoji_and_scripts_keep_what_joins_them() {
        for text in [
            "👩\u{200d}🍳",
            "👩🏽\u{200d}🍳",
            "❤\u{fe0f}\u{200d}🔥",
            "☕\u{fe0e}",
            "1\u{fe0f}\u{20e3}",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "葛\u{e0100}",
        ] {
            assert_eq!(hidden(text), 0, "{text}");
        }
        for text in
            ["a\u{200d}b", "👩\u{200d}", "\u{200d}👩", "a\u{fe0f}", "a\u{e0067}", "می\u{200c}a", "a\u{200c}ی"]
        {
            assert_eq!(hidden(text), 1, "{text:?}");
        }
    }

    #[test]
    fn what_looks_the_same_has_one_key() {
        for (one, other) in [
            ("Piña Colada", "PIN\u{303}A  COLADA"),
            ("ﬁzz", "FIZZ"),
            ("Ｇｉｎ", "gin"),
            ("Μαστίχας", "ΜΑΣΤΊΧΑΣ"),
            ("Weißbier", "WEISSBIER"),
            ("Gin\u{a0}Fizz", " g\u{ad}in fizz\u{200b} "),
        ] {
            assert_eq!(caseless(one), caseless(other));
            assert_eq!(caseless(&caseless(one)), caseless(one));
        }
        assert_ne!(caseless("Pina Colada"), caseless("Piña Colada"));
        assert_eq!(composed("n\u{303}"), "ñ");
    }
}
