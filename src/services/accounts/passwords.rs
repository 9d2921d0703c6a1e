//! Hashes, verifies and rates passwords.

use super::{
    AccountError,
    hashing_pool::{HashingError, HashingSlot},
};
use crate::domain::account::{Password, User};
use secrecy::{ExposeSecret, SecretString};
use std::hint::black_box;

/// Passwords that are guessed sooner are rejected: common ones and obvious variations.
const MIN_GUESSES: u64 = 100_000;

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Wrong, or the account does not exist.
    Wrong,
    /// Contains a new hash if the old one has a lower cost or is of another Unicode form of the password.
    Right(Option<String>),
}

impl HashingSlot {
    pub async fn hash(&self, password: &Password) -> Result<String, HashingError> {
        let (cost, password) = (self.cost, password.clone());
        self.run(move || hash(&password, cost)).await?
    }

    /// Hashes a new password, unless it is easy to guess: a common one, or a variation of a word in
    /// `personal`, such as the account's name.
    pub async fn hash_chosen(
        &self,
        password: &Password,
        personal: Vec<String>,
    ) -> Result<String, AccountError> {
        let (cost, password) = (self.cost, password.clone());
        // Rating a long password takes longer than a request may block others.
        self.run(move || {
            if is_guessable(&password, &personal) {
                return Err(AccountError::Guessable);
            }
            Ok(hash(&password, cost)?)
        })
        .await?
    }

    /// Verifies a password. A mismatch takes the same time whatever the cost of the hash, and without one.
    pub async fn verify(
        &self,
        password: &SecretString,
        known: Option<&str>,
    ) -> Result<Verdict, HashingError> {
        let (cost, password, known) = (self.cost, password.clone(), known.map(str::to_owned));
        self.run(move || verify(&password, known.as_deref(), cost)).await
    }
}

/// Returns whether a password is among the first guesses of somebody who knows `personal`.
pub fn is_guessable(password: &Password, personal: &[String]) -> bool {
    let personal: Vec<&str> = personal.iter().map(String::as_str).collect();
    zxcvbn::zxcvbn(password.expose(), &personal).guesses() < MIN_GUESSES
}

/// Lists words that somebody who knows the account would try as its password.
pub fn personal(user: &User) -> Vec<String> {
    let (email, username) = (user.email.as_str(), user.username.as_str());
    let words = email.split(['@', '.']).chain([email, username, "shakerqueue"]);
    words.map(str::to_owned).collect()
}

fn hash(password: &Password, cost: u32) -> Result<String, HashingError> {
    // Nothing is truncated: a `Password` has at most the 72 bytes that bcrypt reads. (`non_truncating_hash`
    // accepts 71: it counts the NUL that it adds.)
    bcrypt::hash(password.expose(), cost).map_err(|error| {
        tracing::error!(%error, "failed to hash a password");
        HashingError::Busy
    })
}

fn verify(password: &SecretString, known: Option<&str>, cost: u32) -> Verdict {
    let known = known.and_then(|hash| Some((hash, hash.parse::<bcrypt::HashParts>().ok()?.get_cost())));
    for form in Password::hashed_forms(password) {
        if !is_hash_of(form.expose_secret(), known, cost) {
            continue;
        }
        let now = Password::try_from(password).ok();
        let is_as_now = now.as_ref().is_some_and(|now| now.expose() == form.expose_secret());
        let made_at = known.map_or(cost, |(_, made_at)| made_at);
        let outdated = now.filter(|_| made_at < cost || !is_as_now);
        // Renewal is not worth failing the login: the next one tries again.
        return Verdict::Right(outdated.and_then(|password| hash(&password, cost.max(made_at)).ok()));
    }
    Verdict::Wrong
}

/// Compares one form of a password with a hash. A mismatch takes the same time whatever the cost of the hash,
/// and without one.
fn is_hash_of(password: &str, known: Option<(&str, u32)>, cost: u32) -> bool {
    let Some((hash, made_at)) = known else {
        work(password, cost);
        return false;
    };
    // A password that can't have been set is compared all the same, to take the same time, and is wrong:
    // bcrypt reads only the beginning of a long one, and repeats one with a NUL.
    let can_be = password.len() <= Password::MAX && !password.contains('\0');
    let right = bcrypt::verify(password, hash).unwrap_or(false) && can_be;
    if !right {
        // Adds the work missing to the full cost: each step takes as long as all below it plus the lowest
        // once more, which was the hash itself.
        (made_at..cost).for_each(|missing| work(password, missing));
    }
    right
}

/// Does as much work as a verification at this cost.
fn work(password: &str, cost: u32) {
    black_box(bcrypt::hash_with_salt(password, cost, [0; 16]).is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_is_right_and_an_outdated_hash_of_it_is_renewed() {
        let [good, wrong] = ["five limes", "six limes"].map(SecretString::from);
        let password = Password::try_from(&good).unwrap();
        let old = hash(&password, 4).unwrap();
        assert_eq!(verify(&good, Some(&old), 4), Verdict::Right(None));
        let Verdict::Right(Some(new)) = verify(&good, Some(&old), 5) else { unreachable!() };
        assert!(new.starts_with("$2b$05$"));
        assert_eq!(verify(&good, Some(&new), 5), Verdict::Right(None));
        assert_eq!(verify(&good, Some(&new), 4), Verdict::Right(None));
        for hash in [Some(old.as_str()), Some(&new), Some("no hash"), None] {
            assert_eq!(verify(&wrong, hash, 5), Verdict::Wrong, "{hash:?}");
        }
        assert_eq!(verify(&good, None, 4), Verdict::Wrong);
    }

    #[test]
    fn a_hash_of_what_was_typed_is_right_and_renewed_at_no_lower_cost() {
        let [typed, other] = ["fu\u{308}nf Limetten", "fünf Limetten"].map(SecretString::from);
        let old = bcrypt::hash(typed.expose_secret(), 5).unwrap();
        let Verdict::Right(Some(new)) = verify(&typed, Some(&old), 4) else { unreachable!() };
        assert!(new.starts_with("$2b$05$"));
        for password in [&typed, &other] {
            assert_eq!(verify(password, Some(&new), 4), Verdict::Right(None));
        }
        assert_eq!(verify(&other, Some(&old), 4), Verdict::Wrong);
        // Passwords that can no longer be set still open their accounts.
        let short = SecretString::from("ｘｙｚ");
        let old = bcrypt::hash(short.expose_secret(), 4).unwrap();
        assert_eq!(verify(&short, Some(&old), 4), Verdict::Right(None));
    }
}
