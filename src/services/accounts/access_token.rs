//! Access tokens: signed, stateless, short-lived.

use super::Caller;
use crate::{
    domain::{
        Timestamp,
        account::{Role, User},
        ids::{SessionId, UserId},
        now,
    },
    util::secrets::mac,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

const ISSUER: &str = "shakerqueue";
/// Media type of the token (RFC 9068): nothing else that is signed with the same secret passes as one.
const TYPE: &str = "at+jwt";
/// Fixed: the header of a token does not choose the algorithm.
const ALGORITHM: Algorithm = Algorithm::HS256;
const CLOCK_LEEWAY_SECONDS: i64 = 5;
/// Cached verifications, about half a kilobyte each.
const VERIFIED_CAPACITY: usize = 5_000;

/// Header of a token as this program issues it, each member once. Any other member is rejected instead of
/// ignored: `crit` would name extensions that change the meaning of the token (RFC 7515, section 4.1.11),
/// `b64` what was signed (RFC 7797), and jsonwebtoken checks neither. No one else signs tokens for this
/// program, so no valid header has other members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnHeader {
    alg: Algorithm,
    typ: String,
    kid: String,
}

impl OwnHeader {
    fn read(token: &str) -> Option<Self> {
        let (header, _) = token.split_once('.')?;
        let header: Self = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        (header.alg == ALGORITHM && header.typ == TYPE).then_some(header)
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    role: Role,
    iat: i64,
    // No `nbf`: a token is valid at once, even if a clock is behind the one of its issuer or was set back.
    exp: i64,
}

#[derive(Clone)]
pub struct Token {
    pub text: String,
    pub expires_at: Timestamp,
    /// Remaining lifetime at its issue, in seconds.
    pub expires_in: i64,
}

pub struct Tokens {
    signing: EncodingKey,
    header: Header,
    /// The signing key and the previous ones, by key id.
    verifying: HashMap<String, DecodingKey>,
    validation: Validation,
    pub lifetime: TimeDelta,
    /// Holders and expiries of verified tokens.
    verified: Cache<Box<str>, Verified>,
}

#[derive(Clone, Copy)]
struct Verified {
    holder: Caller,
    /// Seconds since the Unix epoch.
    exp: i64,
}

impl Tokens {
    /// Signs with `secret` (HS256), and also accepts tokens signed with the previous secrets.
    pub fn new(secret: &SecretString, previous: &[SecretString], lifetime: TimeDelta) -> Self {
        let key = |secret: &SecretString| {
            (key_id(secret), DecodingKey::from_secret(secret.expose_secret().as_bytes()))
        };
        let header = Header { typ: Some(TYPE.into()), kid: Some(key_id(secret)), ..Header::new(ALGORITHM) };
        let mut validation = Validation::new(ALGORITHM);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true; // where there is one
        validation.leeway = CLOCK_LEEWAY_SECONDS.unsigned_abs();
        Self {
            signing: EncodingKey::from_secret(secret.expose_secret().as_bytes()),
            header,
            verifying: previous.iter().chain([secret]).map(key).collect(),
            validation,
            lifetime,
            verified: Cache::new(VERIFIED_CAPACITY),
        }
    }

    pub fn issue(&self, user: &User, session: SessionId) -> Token {
        let issued_at = now();
        let expires_at = issued_at + self.lifetime;
        let seconds = |at: Timestamp| at.0.timestamp();
        let claims = Claims {
            iss: ISSUER.into(),
            aud: ISSUER.into(),
            sub: user.id,
            sid: session,
            role: user.role,
            iat: seconds(issued_at),
            exp: seconds(expires_at),
        };
        // HMAC over a few words can't fail; an empty token would merely be rejected.
        let text = encode(&self.header, &claims, &self.signing).unwrap_or_default();
        Token { text, expires_at, expires_in: self.lifetime.num_seconds() }
    }

    /// Returns the holder and the role at issue of a valid token.
    pub fn verify(&self, text: &str) -> Option<Caller> {
        // The signature of a cached token stays valid; its expiry is checked each time.
        if let Some(Verified { holder, exp }) = self.verified.get(text)
            && now().0.timestamp() - CLOCK_LEEWAY_SECONDS < exp
        {
            return Some(holder);
        }
        let verified = self.decode(text, &self.validation)?;
        self.verified.insert(text.into(), verified);
        Some(verified.holder)
    }

    /// Returns the holder of a token with a valid signature, even if it has expired or was revoked. Authorizes nothing.
    pub fn verify_signature(&self, text: &str) -> Option<Caller> {
        let mut validation = self.validation.clone();
        validation.validate_exp = false;
        self.decode(text, &validation).map(|verified| verified.holder)
    }

    /// Returns the time at which a valid token expires, in seconds since the Unix epoch.
    pub fn expiry(&self, text: &str) -> Option<i64> {
        self.decode(text, &self.validation).map(|verified| verified.exp)
    }

    fn decode(&self, text: &str, validation: &Validation) -> Option<Verified> {
        // The header only selects one of our own keys; the signature is then verified with our algorithm.
        let key = self.verifying.get(&OwnHeader::read(text)?.kid)?;
        let Claims { sub: id, sid: session, role, exp, .. } =
            decode::<Claims>(text, key, validation).ok()?.claims;
        Some(Verified { holder: Caller { id, role, session }, exp })
    }
}

/// Derives the id of a key, which reveals nothing about its secret.
fn key_id(secret: &SecretString) -> String {
    let mac = mac(secret.expose_secret().as_bytes(), [b"shakerqueue key id".as_slice()]);
    mac.first_chunk().map(|id| format!("{:016x}", u64::from_be_bytes(*id))).unwrap_or_default()
}

#[cfg(test)]
#[path = "access_token_proptests.rs"]
mod proptests;
