//! Tokens, nearly right.

use super::*;
use crate::domain::{
    account::Email,
    fuzz::{nearly, within},
};
use proptest::prelude::*;

fn tokens() -> Tokens {
    Tokens::new(&SecretString::from("a secret for tests, long enough for HS256"), &[], TimeDelta::hours(1))
}

fn user(role: Role) -> User {
    User {
        id: UserId::fresh(),
        username: "Ana".try_into().unwrap(),
        email: Email::try_from("ana@example.com").unwrap(),
        role,
        active: true,
        created_at: now(),
        version: 1,
    }
}

/// A token's parts, decoded, with something of one of them changed: signatures don't fit, the rest may still be well formed.
fn rewritten(text: &str, part: usize, change: &[u8]) -> String {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
    let mut parts: Vec<_> = text.split('.').map(|part| BASE64.decode(part).unwrap()).collect();
    let at = part % parts.len();
    let end = parts[at].len().min(change.len());
    parts[at].splice(..end, change.iter().copied());
    parts.iter().map(|part| BASE64.encode(part)).collect::<Vec<_>>().join(".")
}

proptest! {
    #[test]
    fn a_token_is_verified_as_what_it_was_issued_for(role in prop::sample::select(Role::ALL)) {
        let (tokens, user, session) = (tokens(), user(role), SessionId::fresh());
        let token = tokens.issue(&user, session).text;
        for _ in 0..2 {
            prop_assert_eq!(tokens.verify(&token), Some(Caller { id: user.id, role, session }));
        }
    }

    #[test]
    fn only_the_token_itself_is_verified(
        spoilt in Just(tokens().issue(&user(Role::Admin), SessionId::fresh()).text).prop_flat_map(|token| (nearly(Just(token.clone().into_bytes())), Just(token))),
        part in 0..3_usize,
        change in nearly(Just(br#"{"typ":"at+jwt","alg":"none"#.to_vec())),
    ) {
        let (spoilt, token) = spoilt;
        let tokens = tokens();
        let spoilt = String::from_utf8_lossy(&spoilt).into_owned();
        let verified = within(32, spoilt.as_bytes(), || tokens.verify(&spoilt));
        prop_assert_eq!(verified.is_some(), spoilt == token);
        let rewritten = rewritten(&token, part, &change);
        let verified = within(32, rewritten.as_bytes(), || tokens.verify(&rewritten));
        prop_assert_eq!(verified.is_some(), rewritten == token);
    }
}
