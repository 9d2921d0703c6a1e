//! PostgreSQL's error codes (SQLSTATE), classified by what they mean to the caller. docs/failures.md lists every class, and a test
//! keeps the two equal.

use std::fmt;

/// Five characters, of which the first two are the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlState([u8; 5]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Caused by the state of the server, the database or the connection: a retry may succeed, even if only
    /// after somebody repaired something.
    Transient,
    /// Caused by the values: it fails every time.
    InvalidValue,
    /// Caused by a rule of the database: it fails every time for this row.
    Rejected,
}

use Meaning::{InvalidValue, Rejected, Transient};

/// Classes whose errors fail every time (PostgreSQL's manual, Appendix A, versions 15 to 18). All others count as transient, because
/// the values of one request don't cause them, even if an operator must act: a missing table must not turn every order into a dead
/// letter.
const PERMANENT: [(&str, Meaning); 9] = [
    ("09", Rejected),     // triggered action exception
    ("10", InvalidValue), // XQuery error
    ("20", InvalidValue), // case not found
    ("21", InvalidValue), // cardinality violation
    ("22", InvalidValue), // data exception: a character that the encoding lacks, a number that is out of range
    ("23", Rejected),     // integrity constraint violation: those with a kind of their own never come here
    ("27", Rejected),     // triggered data change violation
    ("44", Rejected),     // WITH CHECK OPTION violation
    ("54", InvalidValue), // program limit exceeded: a value is too large for an index
];

/// Codes after which another connection may succeed while this one keeps failing: its cached plan is
/// obsolete, its prepared statements are gone, or its server has become a standby.
const SPOILING: [&str; 5] = ["0A000", "08P01", "25006", "26000", "42P05"];

impl SqlState {
    pub fn parse(code: &[u8]) -> Option<Self> {
        let code: [u8; 5] = code.try_into().ok()?;
        let is_plain = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        code.iter().all(is_plain).then_some(Self(code))
    }

    pub fn as_str(&self) -> &str {
        // `parse` admits ASCII only.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the meaning of the code's class.
    pub fn meaning(self) -> Meaning {
        let known = PERMANENT.iter().find(|(class, _)| self.as_str().starts_with(class));
        known.map_or(Transient, |(_, meaning)| *meaning)
    }

    /// Returns whether another connection may succeed while this one keeps failing.
    pub fn spoils_connection(self) -> bool {
        SPOILING.contains(&self.as_str())
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, fs, path::Path};

    fn meaning(code: &str) -> Meaning {
        SqlState::parse(code.as_bytes()).unwrap().meaning()
    }

    #[test]
    fn a_code_of_every_class_means_what_its_class_does() {
        for (codes, expected) in [
            (
                "00000 01000 02000 03000 08006 08P01 0A000 0B000 0F000 0L000 0P000 0Z000 24000 25006",
                Transient,
            ),
            (
                "25P02 26000 28P01 2B000 2D000 2F005 34000 38001 39P01 3B001 3D000 3F000 40001 40P01",
                Transient,
            ),
            ("42501 42P01 42P05 42601 53100 53300 55P03 57014 57P01 57P03 58030 72000 F0000", Transient),
            ("HV000 P0001 XX000 XX001 99999 ZZ000", Transient),
            ("10608 20000 21000 22001 22003 22021 22P02 22P05 54000 54001", InvalidValue),
            ("09000 23000 27000 44000", Rejected),
        ] {
            for code in codes.split(' ') {
                assert_eq!(meaning(code), expected, "{code}");
            }
        }
    }

    #[test]
    fn classes_stand_once_and_in_order() {
        assert!(PERMANENT.is_sorted_by(|(one, _), (next, _)| one < next));
    }

    #[test]
    fn operators_read_the_same_of_every_class() {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/failures.md");
        let document = fs::read_to_string(document).unwrap();
        let mut told = BTreeMap::new();
        for (cause, meaning) in [("value", InvalidValue), ("rule", Rejected), ("server", Transient)] {
            let items = document.split("\n- ").filter_map(|item| item.split("\n\n").next());
            let mut items = items.filter_map(|item| item.split_once(":** "));
            let (_, classes) = items.find(|(head, _)| head.ends_with(cause)).unwrap();
            told.extend(classes.split('`').skip(1).step_by(2).map(|class| (class, meaning)));
        }
        assert_eq!(told.len(), 44, "every class of the manual");
        told.retain(|_, meaning| *meaning != Transient);
        assert_eq!(told, BTreeMap::from(PERMANENT));
    }

    #[test]
    fn what_is_no_code_is_none() {
        for text in ["", "2202", "220210", "22 21", "22o21", "22\u{e9}1"] {
            assert_eq!(SqlState::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_connection_is_given_up_for_what_is_its_own_fault() {
        for (code, spoils) in [("0A000", true), ("26000", true), ("25006", true), ("40001", false)] {
            assert_eq!(SqlState::parse(code.as_bytes()).unwrap().spoils_connection(), spoils, "{code}");
        }
    }
}
