//! Accounts: who may do what.

use super::{Instant, ids::UserId, schema, stamp::Stamp, text::Username, validation, words};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

words! {
    /// What an account may do. Each role may do what the one before may.
    pub enum Role {
        /// Orders, sees and cancels own orders.
        Customer = "customer",
        /// Sees all orders, works the queue, keeps the menu.
        Employee = "employee",
        /// Keeps accounts and looks after the system.
        Admin = "admin",
    }
}

impl Role {
    /// Whether this is someone who works at the bar.
    pub fn is_staff(self) -> bool {
        self >= Self::Employee
    }
}

/// An account as others may see it: no password hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name for machines.
    pub id: UserId,
    /// Its name for people.
    pub username: Username,
    /// Its address, which is what it signs in with.
    pub email: Email,
    /// What it may do.
    pub role: Role,
    /// Whether it may do anything at all.
    pub active: bool,
    /// When it was made.
    pub created_at: Instant,
    /// How often it changed, counted from 1.
    pub version: i32,
}

impl User {
    /// The state that it is in.
    pub fn stamp(&self) -> Stamp {
        Stamp { id: self.id.0, version: self.version }
    }
}

/// An e-mail address in lower case: addresses that differ only in case are one account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Email(String);

validation::whole!(Email);

schema::described!(Email: schema::email("An e-mail address. Addresses that differ only in case are one.", Self::MOST));

impl Email {
    /// The most characters an address may have (RFC 5321: path of 256 with its brackets).
    pub const MOST: usize = 254;

    /// The address.
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

    /// Accepts what could be delivered to; whether it is, only a message would show.
    fn try_from(text: &str) -> Result<Self, String> {
        if text.chars().nth(Self::MOST).is_some() {
            return Err(format!("must be at most {} characters", Self::MOST));
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

/// A password that may be set. Never shown, never logged.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Password(SecretString);

validation::whole!(Password);

impl Password {
    /// The fewest bytes.
    pub const LEAST: usize = 8;
    /// The most bytes: bcrypt reads no further, and half a password must not do.
    pub const MOST: usize = 72;

    /// The secret itself, for hashing only.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
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

    fn try_from(text: &SecretString) -> Result<Self, String> {
        match text.expose_secret().len() {
            0..Self::LEAST => Err(format!("must be at least {} bytes", Self::LEAST)),
            Self::LEAST..=Self::MOST if text.expose_secret().contains('\0') => {
                Err("must not contain a NUL character".into())
            }
            Self::LEAST..=Self::MOST => Ok(Self(text.clone())),
            _ => Err(format!("must be at most {} bytes", Self::MOST)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn each_role_may_do_what_the_one_before_may() {
        assert!(Role::Admin > Role::Employee && Role::Employee > Role::Customer);
        assert!(!Role::Customer.is_staff() && Role::Employee.is_staff() && Role::Admin.is_staff());
    }
}
