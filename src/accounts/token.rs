//! Tokens: signed, stateless, short enough of life.

use crate::domain::{
    Instant,
    account::{Role, User},
    ids::UserId,
    now,
};
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

const ISSUER: &str = "shakerqueue";

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
        validation.leeway = 5; // seconds by which clocks may differ
        Self {
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
            validation,
            lifetime,
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
        let claims = decode::<Claims>(text, &self.verifying, &self.validation).ok()?.claims;
        Some((claims.sub, claims.role))
    }
}
