//! Refresh tokens: what a session goes on with when its access token has expired. Each counts once.

use crate::{domain::ids::SessionId, secret::mac, store::sessions::Session};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::Instant;

/// For so long the token before the last one is answered as it was then: the answer may have been lost, or two windows of one
/// browser asked at once.
const GRACE: TimeDelta = TimeDelta::seconds(30);

/// A refresh token: names its session, and shows with 256 random bits that it is its. Only a hash of these is stored.
#[derive(Clone)]
pub struct RefreshToken {
    /// Its session.
    pub session: SessionId,
    secret: [u8; 32],
}

/// What a token that was shown is to its session.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown {
    /// The one that counts.
    Current,
    /// The one before, and it may be that nobody got the answer to it. With this seed the answer is the same again.
    Lately(Vec<u8>),
    /// An older one, which somebody else may have, or none of its own.
    Used,
}

impl RefreshToken {
    /// The first token of a session.
    pub fn first(session: SessionId) -> Self {
        Self { session, secret: random() }
    }

    /// The token that follows this one. Who knows this one, and nobody else, can be given it once more with the same seed.
    #[must_use]
    pub fn next(&self, seed: &[u8]) -> Self {
        Self {
            session: self.session,
            secret: mac(&self.secret, [b"shakerqueue next token".as_slice(), seed]),
        }
    }

    /// What makes the next token unlike all others.
    pub fn seed() -> Vec<u8> {
        random().to_vec()
    }

    /// What is stored of it.
    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.secret).to_vec()
    }

    /// What it is to its session.
    pub fn shown_to(&self, session: &Session, now: Instant) -> Shown {
        let hash = self.hash();
        if session.token_hash == hash {
            return Shown::Current;
        }
        // Less than nothing where clocks differ. A clock that was set back must not make it late for hours.
        let age = now.0 - session.rotated_at.0;
        match (&session.previous_hash, &session.seed) {
            (Some(previous), Some(seed)) if *previous == hash && (-GRACE..GRACE).contains(&age) => {
                Shown::Lately(seed.clone())
            }
            _ => Shown::Used,
        }
    }

    /// As the client keeps it.
    pub fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode([self.session.0.as_bytes().as_slice(), &self.secret].concat())
    }

    /// Reads what a client sent.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 48] = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (session, secret) = (bytes.first_chunk()?, bytes.last_chunk()?);
        Some(Self { session: SessionId(Uuid::from_bytes(*session)), secret: *secret })
    }
}

/// 256 random bits.
fn random() -> [u8; 32] {
    rand::random()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ids::UserId, now};

    fn session(current: &RefreshToken, rotated_at: Instant) -> Session {
        Session {
            id: current.session,
            user_id: UserId::fresh(),
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
        let token = RefreshToken::first(SessionId::fresh());
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
    fn of_all_tokens_of_a_session_only_the_last_counts_and_the_one_before_for_a_moment() {
        let (first, at) = (RefreshToken::first(SessionId::fresh()), now());
        assert_eq!(first.shown_to(&session(&first, at), at), Shown::Current);
        let seed = RefreshToken::seed();
        let second = first.next(&seed);
        let mut rotated = session(&second, at);
        (rotated.previous_hash, rotated.seed) = (Some(first.hash()), Some(seed.clone()));
        assert_eq!(second.shown_to(&rotated, at + GRACE), Shown::Current);
        let moment = TimeDelta::milliseconds(1);
        assert_eq!(first.shown_to(&rotated, at + GRACE - moment), Shown::Lately(seed.clone()));
        assert_eq!(first.shown_to(&rotated, at + GRACE), Shown::Used);
        assert_eq!(
            first.shown_to(&rotated, at - moment),
            Shown::Lately(seed.clone()),
            "clocks differ a little"
        );
        assert_eq!(first.shown_to(&rotated, at - GRACE - moment), Shown::Used);
        assert_eq!(first.next(&seed).text(), second.text());
        assert_ne!(first.next(&RefreshToken::seed()).text(), second.text());
        let stranger = RefreshToken::first(first.session);
        assert_eq!(stranger.shown_to(&rotated, at), Shown::Used);
        let third = second.next(&RefreshToken::seed());
        assert_eq!(first.shown_to(&session(&third, at), at), Shown::Used);
    }
}
