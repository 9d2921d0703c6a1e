//! JSON text as editors and scripts save it: with a byte order mark, or in another encoding than UTF-8.

use std::str;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Removes a byte order mark, which a reader may ignore (RFC 8259, 8.1).
pub fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Checks that JSON text is UTF-8, and removes a byte order mark. The error follows the name of the text, as in `The body is …`.
pub fn utf8(text: &[u8]) -> Result<&str, String> {
    // JSON begins with a mark or an ASCII character: of its four bytes all but one are 0. Checked before UTF-16, whose mark is the
    // first half of one of these.
    if matches!(
        text,
        [0, 0, 0xfe, 0xff, ..]
            | [0xff, 0xfe, 0, 0, ..]
            | [0, 0, 0, 1..=u8::MAX, ..]
            | [1..=u8::MAX, 0, 0, 0, ..]
    ) {
        return Err("is UTF-32 and must be UTF-8".into());
    }
    if matches!(text, [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, 1..=u8::MAX, ..] | [1..=u8::MAX, 0, ..]) {
        // Notepad and PowerShell call it Unicode.
        return Err("is UTF-16 and must be UTF-8".into());
    }
    let text = without_bom(text);
    str::from_utf8(text).map_err(|error| {
        let before = text.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        format!("must be UTF-8, and line {line} has bytes that are not")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_encodings_are_named_and_a_byte_order_mark_is_none_of_the_text() {
        let names = |encoding: &str, text: &[u8]| utf8(text).is_err_and(|error| error.contains(encoding));
        let utf16 =
            |bytes: fn(u16) -> [u8; 2], text: &str| text.encode_utf16().flat_map(bytes).collect::<Vec<_>>();
        for text in ["\u{feff}{}", "{\"name\":\"Piña\"}"] {
            assert!(names("UTF-16", &utf16(u16::to_le_bytes, text)), "{text}");
            assert!(names("UTF-16", &utf16(u16::to_be_bytes, text)), "{text}");
        }
        let utf32 = |bytes: fn(u32) -> [u8; 4], text: &str| {
            text.chars().flat_map(|character| bytes(character.into())).collect::<Vec<_>>()
        };
        for text in ["\u{feff}{}", "{\"name\":\"Piña\"}", "7"] {
            assert!(names("UTF-32", &utf32(u32::to_le_bytes, text)), "{text}");
            assert!(names("UTF-32", &utf32(u32::to_be_bytes, text)), "{text}");
        }
        assert_eq!(utf8("\u{feff}{\"name\":\"Piña\"}".as_bytes()), Ok("{\"name\":\"Piña\"}"));
        assert!(utf8(b"\n\n Pi\xf1a").is_err_and(|error| error.contains("line 3")));
        assert_eq!((utf8(b""), utf8(b"0"), utf8(b"\0\0")), (Ok(""), Ok("0"), Ok("\0\0")));
    }
}
