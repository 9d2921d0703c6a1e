//! Accounts, their roles, e-mail addresses and passwords.

use super::{
    Timestamp,
    ids::UserId,
    json::MayBeAbsent,
    openapi_schema,
    text::{Username, patterns::SPACE, unicode::compatible},
    validation,
    version::EntityVersion,
    words::words,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

words! {
    /// The role of an account. Each role includes the permissions of the one before.
    pub enum Role {
        /// Places, sees and cancels its own orders.
        Customer = "customer",
        /// Sees all orders, works on them, and edits the menu.
        Employee = "employee",
        /// Manages accounts, dead letters and the audit trail.
        Admin = "admin",
    }
}

impl MayBeAbsent for Role {}

impl Role {
    /// Returns true for employees and admins.
    pub fn is_staff(self) -> bool {
        self >= Self::Employee
    }
}

/// An account without its password hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub username: Username,
    pub email: Email,
    pub role: Role,
    pub active: bool,
    pub created_at: Timestamp,
    /// Counted from 1, up with each change.
    pub version: i32,
}

impl User {
    pub fn entity_version(&self) -> EntityVersion {
        EntityVersion { id: self.id.0, version: self.version }
    }
}

/// An e-mail address in lower case: addresses that differ only in case belong to one account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Email(String);

validation::via_serde!(Email);

openapi_schema::described!(Email: openapi_schema::text("An e-mail address. Its case does not matter.", 3, Self::MAX, email_pattern()));

impl Email {
    /// Characters of an address (RFC 5321: a path of 256 with its brackets).
    pub const MAX: usize = 254;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Email {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::try_from(text.as_str())
    }
}

impl TryFrom<&str> for Email {
    type Error = String;

    /// Accepts addresses that a message could be sent to.
    fn try_from(text: &str) -> Result<Self, String> {
        if text.chars().nth(Self::MAX).is_some() {
            return Err(format!("must be at most {} characters", Self::MAX));
        }
        let text = text.trim();
        let plausible = text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !domain.is_empty()
                && !domain.contains('@')
                && !domain.starts_with('.')
                && !domain.ends_with('.')
        });
        // ASCII only: two addresses that look alike must not be two accounts.
        if !plausible || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err("must be an e-mail address".into());
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// The rules of [`Email`] as a regular expression (ECMA-262). The format `email` of JSON Schema would not do: it allows no space
/// around an address, which phones like to add.
fn email_pattern() -> String {
    let inner = "[!-\\-/-?A-~]";
    format!("^[{SPACE}]*[!-?A-~]+@{inner}([!-?A-~]*{inner})?[{SPACE}]*$")
}

/// A password that satisfies the rules. Never shown, never logged.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Password {
    normalized: SecretString,
    given: SecretString,
}

validation::via_serde!(Password);

impl Password {
    /// In bytes, as are its limits everywhere.
    pub const MIN: usize = 8;
    /// bcrypt reads no further bytes, and half a password must not be enough.
    pub const MAX: usize = 72;

    /// The secret, for hashing only, in the form NFKC: keyboards differ in how they send the same characters (NIST SP 800-63B,
    /// 3.1.1.2).
    pub fn expose(&self) -> &str {
        self.normalized.expose_secret()
    }

    /// The password as it was typed, without normalization.
    pub fn given(&self) -> &SecretString {
        &self.given
    }

    /// The forms that may have been hashed: the normalized one and, if it differs, the one that was typed, which earlier releases
    /// hashed. Their number depends on the text alone, not on the account.
    pub fn hashed_forms(given: &SecretString) -> Vec<SecretString> {
        let text = given.expose_secret();
        // Longer passwords could never be set, and normalizing them would cost time.
        if text.chars().nth(Self::MAX).is_some() {
            return vec![given.clone()];
        }
        match compatible(text) {
            form if form == text => vec![given.clone()],
            form => vec![SecretString::from(form.into_owned()), given.clone()],
        }
    }
}

impl TryFrom<String> for Password {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::try_from(&SecretString::from(text))
    }
}

impl TryFrom<&SecretString> for Password {
    type Error = String;

    fn try_from(given: &SecretString) -> Result<Self, String> {
        let too_long = || format!("must be at most {} bytes", Self::MAX);
        let text = given.expose_secret();
        if text.chars().nth(Self::MAX).is_some() {
            return Err(too_long());
        }
        let normalized = SecretString::from(compatible(text).into_owned());
        let bytes = normalized.expose_secret().len();
        // Some characters become many: the typed ones must suffice too.
        if text.len().min(bytes) < Self::MIN {
            return Err(format!("must be at least {} bytes", Self::MIN));
        }
        if text.contains('\0') {
            return Err("must not contain a NUL character".into());
        }
        if bytes > Self::MAX { Err(too_long()) } else { Ok(Self { normalized, given: given.clone() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::Regex;

    #[test]
    fn addresses_that_differ_in_case_are_one() {
        assert_eq!(Email::try_from("Ana@Bar.Example"), Email::try_from(" ana@bar.example "));
    }

    #[test]
    fn what_no_mail_could_reach_is_refused() {
        for text in [
            "",
            "ana",
            "@bar.example",
            "ana@",
            "a@b@c",
            "ana@.example",
            "a b@bar.example",
            "a\n@bar.example",
            "a\u{200b}@bar.example",
        ] {
            assert!(Email::try_from(text).is_err(), "{text:?} was taken for an address");
        }
        assert!(Email::try_from(format!("{}@bar.example", "a".repeat(250)).as_str()).is_err());
    }

    proptest! {
        #[test]
        fn the_pattern_of_addresses_is_their_rule(text in "[a.@\\-ñ\u{a0} \r]{0,8}") {
            let matches = Regex::new(&email_pattern()).unwrap().is_match(&text);
            prop_assert_eq!(matches, Email::try_from(text.as_str()).is_ok());
        }
    }

    #[test]
    fn a_password_has_8_to_72_bytes() {
        let password = |text: &str| Password::try_from(&SecretString::from(text));
        assert!(password("1234567").is_err());
        assert!(password("12345678").is_ok());
        assert!(password(&"x".repeat(72)).is_ok());
        assert!(password(&"x".repeat(73)).is_err());
        assert!(password(&"ñ".repeat(37)).is_err(), "74 bytes");
    }

    #[test]
    fn a_password_is_normalized_before_its_bytes_are_counted() {
        let password = |text: &str| Password::try_from(&SecretString::from(text));
        let normalized = |text: &str| password(text).map(|password| password.expose().to_owned());
        assert_eq!(normalized("fu\u{308}nf Limetten"), Ok("fünf Limetten".into()));
        assert_eq!(normalized("ｓｅｖｅｎ limes"), Ok("seven limes".into()));
        // 72 bytes of 108, and 8 of 24.
        assert!(password(&"n\u{303}".repeat(36)).is_ok() && password(&"ｘ".repeat(8)).is_ok());
        assert!(password(&"ｘ".repeat(7)).is_err(), "7 bytes of 21");
        // One character of 3 bytes becomes 33.
        assert!(password("\u{fdfa}").is_err() && password(&"\u{fdfa}".repeat(3)).is_err());
        assert!(password(&"\u{fdfa}".repeat(100_000)).is_err());
        assert_eq!(password("fu\u{308}nf Limetten").unwrap().given().expose_secret(), "fu\u{308}nf Limetten");
    }

    #[test]
    fn a_password_may_have_been_hashed_as_it_was_typed() {
        let forms = |text: &str| {
            let forms = Password::hashed_forms(&SecretString::from(text));
            forms.iter().map(|form| form.expose_secret().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(forms("seven limes"), ["seven limes"]);
        assert_eq!(forms("fünf Limetten"), ["fünf Limetten"]);
        assert_eq!(forms("fu\u{308}nf Limetten"), ["fünf Limetten", "fu\u{308}nf Limetten"]);
        assert_eq!(forms(&"\u{fdfa}".repeat(1000)).len(), 1);
    }

    #[test]
    fn each_role_may_do_what_the_one_before_may() {
        assert!(Role::Admin > Role::Employee && Role::Employee > Role::Customer);
        assert!(!Role::Customer.is_staff() && Role::Employee.is_staff() && Role::Admin.is_staff());
    }
}
