//! Secrets: generated ones for signing tokens where none is set, and message authentication codes.

mod file;

use crate::config::MIN_SECRET_BYTES;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::path::{Path, PathBuf};

/// Returns the HMAC-SHA-256 of the concatenated texts.
#[expect(clippy::missing_panics_doc, clippy::expect_used, reason = "HMAC takes a key of any length")]
pub fn mac<'a>(key: &[u8], texts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    texts.into_iter().for_each(|text| mac.update(text));
    mac.finalize().into_bytes().into()
}

/// Returns 256 random bits as 64 hexadecimal digits.
pub fn random_text() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

/// Returns the secret in the file beside this database, which is created if it is missing. The error is a sentence.
pub fn beside(database: &Path) -> Result<SecretString, String> {
    let mut path = database.as_os_str().to_owned();
    path.push(".secret");
    let path = PathBuf::from(path);
    let secret = file::read_or_create(&path)
        .map_err(|error| format!("failed to use the secret in {}: {error}", path.display()))?;
    if secret.expose_secret().len() < MIN_SECRET_BYTES {
        return Err(format!("the secret in {} must have at least {MIN_SECRET_BYTES} bytes", path.display()));
    }
    Ok(secret)
}
