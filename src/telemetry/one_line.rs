//! Escapes line breaks and other control characters in the text log. Fields quote clients, files and servers, whose text must not
//! look like further events.

use crate::domain::text::printable;
use std::io::{self, Write};

const ESCAPE: char = '\u{1b}';

/// Writes each event on one line. It is given one whole event at a time.
pub struct OneLine<W> {
    lines: W,
    /// Keeps the formatter's colour codes. It removes those in quoted text itself.
    coloured: bool,
}

impl<W: Write> OneLine<W> {
    pub fn new(lines: W, coloured: bool) -> Self {
        Self { lines, coloured }
    }

    fn escape(&self, character: char) -> impl Iterator<Item = char> + use<W> {
        let is_colour = self.coloured && character == ESCAPE;
        let unescaped = is_colour.then_some(character);
        let escaped = (!is_colour).then(|| printable(character));
        unescaped.into_iter().chain(escaped.into_iter().flatten())
    }
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = event.strip_suffix(b"\n").unwrap_or(event);
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') || (self.coloured && *byte == 0x1b);
        // Fast for nearly all events.
        if text.iter().all(is_plain) {
            return self.lines.write(event);
        }
        let mut line: String =
            String::from_utf8_lossy(text).chars().flat_map(|character| self.escape(character)).collect();
        line.push('\n');
        self.lines.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Seek;

    /// The line of an event that quotes this text.
    fn written(quoted: &str, coloured: bool) -> String {
        let mut log = tempfile::tempfile().expect("a file");
        let to = log.try_clone().expect("a file");
        let writer = move || OneLine::new(to.try_clone().expect("a file"), coloured);
        let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(coloured).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(error = %quoted, reason = quoted, "failed: {quoted}");
        });
        log.rewind().expect("a file");
        io::read_to_string(log).expect("text")
    }

    #[test]
    fn an_event_is_one_line_whatever_it_quotes() {
        for coloured in [false, true] {
            for quoted in [
                "a\nb",
                "a\r\n2026-11-26T22:00:00Z ERROR shakerqueue: forged",
                "a\u{2028}b\u{85}c\u{b}d",
                "\u{202e}txt",
            ] {
                let event = written(quoted, coloured);
                let line = event.strip_suffix('\n').expect("a whole line");
                let hidden = |character: char| character != ESCAPE && !printable(character).eq([character]);
                assert!(!line.contains(hidden), "{line:?}");
            }
        }
        let event = written("Piña\nColada 🍸", false);
        assert!(event.contains("error=Piña\\nColada 🍸"), "{event}");
        assert!(written("Piña", true).contains(ESCAPE), "the colours are gone");
    }
}
