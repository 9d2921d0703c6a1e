//! Tokens: signed, stateless, short enough of life.

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
/// What a token says it is (RFC 9068), so that nothing else that is signed with the same secret passes for one.
const TYPE: &str = "at+jwt";
/// Whatever a token's header says: it does not choose.
const ALGORITHM: Algorithm = Algorithm::HS256;
/// Seconds by which clocks may differ.
const CLOCK_LEEWAY_SECONDS: i64 = 5;
/// How many of the latest tokens are not verified again: about half a kilobyte each.
const VERIFIED_CAPACITY: usize = 5_000;

/// The members of a header as this program issues it, each once. Any other is refused instead of ignored: `crit` would name
/// extensions that change what the token means (RFC 7515, section 4.1.11), `b64` what was signed (RFC 7797), and jsonwebtoken
/// looks at neither. Nobody else signs tokens for this program, so there is no header that only another issuer would write.
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
    // No `nbf`: a token counts from the start, also where a clock is behind the one that it was issued by, or was set back.
    exp: i64,
}

/// A token and when it ends.
#[derive(Clone)]
pub struct Token {
    /// What the client sends back.
    pub text: String,
    /// Until when.
    pub expires_at: Timestamp,
    /// How long that is, in seconds.
    pub expires_in: i64,
}

/// Issues and verifies tokens.
pub struct Tokens {
    signing: EncodingKey,
    header: Header,
    /// By their ids: the one that signs, and those before it.
    verifying: HashMap<String, DecodingKey>,
    validation: Validation,
    lifetime: TimeDelta,
    /// What was verified before: whose it is, and until when it counts.
    verified: Cache<Box<str>, Verified>,
}

#[derive(Clone, Copy)]
struct Verified {
    holder: Caller,
    /// Seconds since 1970 began.
    exp: i64,
}

impl Tokens {
    /// Signs with this secret (HS256), and accepts what was signed with the previous ones.
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

    /// How long a token lasts.
    pub fn lifetime(&self) -> TimeDelta {
        self.lifetime
    }

    /// A token for this account as it is now, in this session.
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
        // HMAC over a few words can't fail; if it did, an empty token would only fail to sign in.
        let text = encode(&self.header, &claims, &self.signing).unwrap_or_default();
        Token { text, expires_at, expires_in: self.lifetime.num_seconds() }
    }

    /// Whose token this is and the role at its issue, unless it is forged or expired.
    pub fn verify(&self, text: &str) -> Option<Caller> {
        // A signature does not change; that it expires is looked at each time.
        if let Some(Verified { holder, exp }) = self.verified.get(text)
            && now().0.timestamp() - CLOCK_LEEWAY_SECONDS < exp
        {
            return Some(holder);
        }
        let verified = self.decode(text, &self.validation)?;
        self.verified.insert(text.into(), verified);
        Some(verified.holder)
    }

    /// Whose token this is or was, unless it is forged.
    pub fn verify_signature(&self, text: &str) -> Option<Caller> {
        let mut validation = self.validation.clone();
        validation.validate_exp = false;
        self.decode(text, &validation).map(|verified| verified.holder)
    }

    fn decode(&self, text: &str, validation: &Validation) -> Option<Verified> {
        // What the header says only chooses among our own keys, whose signature is then verified with our algorithm.
        let key = self.verifying.get(&OwnHeader::read(text)?.kid)?;
        let Claims { sub: id, sid: session, role, exp, .. } =
            decode::<Claims>(text, key, validation).ok()?.claims;
        Some(Verified { holder: Caller { id, role, session }, exp })
    }
}

/// Names a secret in tokens, without telling anything about it.
fn key_id(secret: &SecretString) -> String {
    let mac = mac(secret.expose_secret().as_bytes(), [b"shakerqueue key id".as_slice()]);
    mac.first_chunk().map(|id| format!("{:016x}", u64::from_be_bytes(*id))).unwrap_or_default()
}

#[cfg(test)]
#[path = "access_token_proptests.rs"]
mod proptests;
