//! Refresh tokens, which continue a session after its access token has expired. Each is used once.

use crate::{domain::ids::SessionId, store::sessions::Session, util::secrets::mac};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::Timestamp;

/// Time for which the previous token still gets the same answer: the answer may have been lost, or two
/// windows of a browser refreshed at once.
const REUSE_GRACE: TimeDelta = TimeDelta::seconds(30);

/// Contains its session and 256 random bits, of which only a hash is stored.
#[derive(Clone)]
pub struct RefreshToken {
    pub session: SessionId,
    secret: [u8; 32],
}

/// Relation of a presented token to its session.
#[derive(Debug, PartialEq, Eq)]
pub enum Presented {
    Current,
    /// The previous token, whose answer may have been lost. The seed yields the same answer again.
    Previous(Vec<u8>),
    /// An older token, which somebody else may have, or one that the session never had.
    Reused,
}

impl RefreshToken {
    pub fn first(session: SessionId) -> Self {
        Self { session, secret: rand::random() }
    }

    /// Derives the token that follows this one: the same one again for the same seed.
    #[must_use]
    pub fn next(&self, seed: &[u8]) -> Self {
        Self {
            session: self.session,
            secret: mac(&self.secret, [b"shakerqueue next token".as_slice(), seed]),
        }
    }

    /// Generates the random part of the next token.
    pub fn seed() -> Vec<u8> {
        rand::random::<[u8; 32]>().to_vec()
    }

    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.secret).to_vec()
    }

    pub fn compare(&self, session: &Session, now: Timestamp) -> Presented {
        let hash = self.hash();
        if session.token_hash == hash {
            return Presented::Current;
        }
        // Negative if clocks differ: a clock that was set back must not make the token late for hours.
        let age = now.0 - session.rotated_at.0;
        match (&session.previous_hash, &session.seed) {
            (Some(previous), Some(seed))
                if *previous == hash && (-REUSE_GRACE..REUSE_GRACE).contains(&age) =>
            {
                Presented::Previous(seed.clone())
            }
            _ => Presented::Reused,
        }
    }

    /// Encodes the token for the client.
    pub fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode([self.session.0.as_bytes().as_slice(), &self.secret].concat())
    }

    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 48] = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (session, secret) = (bytes.first_chunk()?, bytes.last_chunk()?);
        Some(Self { session: SessionId(Uuid::from_bytes(*session)), secret: *secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ids::UserId, now};

    fn session(current: &RefreshToken, rotated_at: Timestamp) -> Session {
        Session {
            id: current.session,
            user_id: UserId::new_v7(),
            token_hash: current.hash(),
            previous_hash: None,
            seed: None,
            created_at: rotated_at,
            rotated_at,
            expires_at: rotated_at,
            tokens_until: rotated_at,
            ended_at: None,
        }
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let token = RefreshToken::first(SessionId::new_v7());
        let text = token.text();
        assert_eq!(text.len(), 64);
        let read = RefreshToken::parse(&text).unwrap();
        assert_eq!((read.session, read.hash()), (token.session, token.hash()));
        for text in [
            "",
            "rubbish",
            &text[1..],
            &format!("{text}A"),
            &format!("{text}AAAA"),
            &text.replace(|_| true, "="),
        ] {
            assert!(RefreshToken::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn only_the_last_token_counts_and_the_one_before_for_a_moment() {
        let (first, at) = (RefreshToken::first(SessionId::new_v7()), now());
        assert_eq!(first.compare(&session(&first, at), at), Presented::Current);
        let seed = RefreshToken::seed();
        let second = first.next(&seed);
        let mut rotated = session(&second, at);
        (rotated.previous_hash, rotated.seed) = (Some(first.hash()), Some(seed.clone()));
        assert_eq!(second.compare(&rotated, at + REUSE_GRACE), Presented::Current);
        let moment = TimeDelta::milliseconds(1);
        assert_eq!(first.compare(&rotated, at + REUSE_GRACE - moment), Presented::Previous(seed.clone()));
        assert_eq!(first.compare(&rotated, at + REUSE_GRACE), Presented::Reused);
        assert_eq!(
            first.compare(&rotated, at - moment),
            Presented::Previous(seed.clone()),
            "clocks differ a little"
        );
        assert_eq!(first.compare(&rotated, at - REUSE_GRACE - moment), Presented::Reused);
        assert_eq!(first.next(&seed).text(), second.text());
        assert_ne!(first.next(&RefreshToken::seed()).text(), second.text());
        let stranger = RefreshToken::first(first.session);
        assert_eq!(stranger.compare(&rotated, at), Presented::Reused);
        let third = second.next(&RefreshToken::seed());
        assert_eq!(first.compare(&session(&third, at), at), Presented::Reused);
    }
}
