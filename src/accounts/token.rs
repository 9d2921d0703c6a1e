//! Tokens: signed, stateless, short enough of life.

use crate::domain::{
    Instant,
    account::{Role, User},
    ids::UserId,
    now,
};
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

const ISSUER: &str = "shakerqueue";
/// Seconds by which clocks may differ.
const LEEWAY: i64 = 5;
/// How many of the latest tokens are not verified again: about half a kilobyte each.
const REMEMBERED: usize = 5_000;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    role: Role,
    iat: i64,
    // No `nbf`: a token counts from the start, also where a clock is behind the one that it was issued by, or was set back.
    exp: i64,
}

/// A token and when it ends.
#[derive(Debug, Clone)]
pub struct Token {
    /// What the client sends back.
    pub text: String,
    /// Until when.
    pub expires_at: Instant,
}

/// Issues and verifies tokens.
pub struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    lifetime: TimeDelta,
    /// What was verified before: whose it is, and until when it counts.
    verified: Cache<Box<str>, Verified>,
}

#[derive(Clone, Copy)]
struct Verified {
    id: UserId,
    role: Role,
    /// Seconds since 1970 began.
    exp: i64,
}

impl Tokens {
    /// Signs with this secret (HS256).
    pub fn new(secret: &SecretString, lifetime: TimeDelta) -> Self {
        let secret = secret.expose_secret().as_bytes();
        // Only this algorithm: what a token's header says does not choose.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true; // where there is one
        validation.leeway = LEEWAY.unsigned_abs();
        Self {
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
            validation,
            lifetime,
            verified: Cache::new(REMEMBERED),
        }
    }

    /// A token for this account as it is now.
    pub fn issue(&self, user: &User) -> Token {
        let issued_at = now();
        let expires_at = issued_at + self.lifetime;
        let seconds = |at: Instant| at.0.timestamp();
        let claims = Claims {
            iss: ISSUER.into(),
            aud: ISSUER.into(),
            sub: user.id,
            role: user.role,
            iat: seconds(issued_at),
            exp: seconds(expires_at),
        };
        // HMAC over a few words can't fail; if it did, an empty token would only fail to sign in.
        let text = encode(&Header::new(Algorithm::HS256), &claims, &self.signing).unwrap_or_default();
        Token { text, expires_at }
    }

    /// Whose token this is and the role at its issue, unless it is forged or expired.
    pub fn verify(&self, text: &str) -> Option<(UserId, Role)> {
        // A signature does not change; that it expires is looked at each time.
        if let Some(Verified { id, role, exp }) = self.verified.get(text)
            && now().0.timestamp() - LEEWAY < exp
        {
            return Some((id, role));
        }
        let Claims { sub: id, role, exp, .. } =
            decode::<Claims>(text, &self.verifying, &self.validation).ok()?.claims;
        self.verified.insert(text.into(), Verified { id, role, exp });
        Some((id, role))
    }
}
