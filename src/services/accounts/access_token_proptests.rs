use super::{super::new_user, *};
use crate::domain::{
    account::Email,
    proptests::{nearly, within},
};
use proptest::prelude::*;

const SECRET: &str = "a secret for tests, long enough for HS256";

fn tokens() -> Tokens {
    Tokens::new(&SecretString::from(SECRET), &[], TimeDelta::hours(1))
}

fn user(role: Role) -> User {
    new_user("Ana".try_into().unwrap(), Email::try_from("ana@example.com").unwrap(), role)
}

/// Changes one decoded part of a token: the signature no longer matches, but the rest may be well formed.
fn rewritten(text: &str, part: usize, change: &[u8]) -> String {
    let mut parts: Vec<_> =
        text.split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    let at = part % parts.len();
    let end = parts[at].len().min(change.len());
    parts[at].splice(..end, change.iter().copied());
    parts.iter().map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).collect::<Vec<_>>().join(".")
}

/// Signs a valid payload under this header, as another issuer with the same secret would.
fn signed_under(header: &str, token: &str) -> String {
    let message = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), token.split('.').nth(1).unwrap());
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, ALGORITHM).unwrap();
    format!("{message}.{signature}")
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("[]".to_owned()),
        Just(r#"["exp"]"#.to_owned()),
        Just(r#"["b64"]"#.to_owned()),
        "[a-z0-9]{1,8}".prop_map(|name| format!(r#"["{name}"]"#)),
        "[ -!#-\\[\\]-~]{0,8}".prop_map(|text| format!("\"{text}\"")),
        prop::sample::select(vec!["null", "true", "false", "0", "{}"]).prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn a_header_with_anything_that_is_not_understood_is_refused(
        name in prop_oneof![
            prop::sample::select(vec![
                "crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c", "cty", "url", "nonce", "Alg", "alg", "typ", "kid",
            ])
            .prop_map(str::to_owned),
            "[a-zA-Z0-9]{1,8}",
        ],
        value in value(),
        first in any::<bool>(),
    ) {
        let (tokens, user) = (tokens(), user(Role::Admin));
        let token = tokens.issue(&user, SessionId::new_v7()).text;
        let kid = key_id(&SecretString::from(SECRET));
        let own = format!(r#""kid":"{kid}","typ":"{TYPE}","alg":"HS256""#);
        // Otherwise every token would be rejected for how this test makes it.
        let plain = signed_under(&format!("{{{own}}}"), &token);
        prop_assert!(tokens.verify(&plain).is_some());
        // Also a member that exists already: parsers differ on which of the two counts.
        let more = format!(r#""{name}":{value}"#);
        let header = if first { format!("{{{more},{own}}}") } else { format!("{{{own},{more}}}") };
        prop_assert_eq!(tokens.verify(&signed_under(&header, &token)), None, "{}", header);
    }

    #[test]
    fn a_token_is_verified_as_what_it_was_issued_for(role in prop::sample::select(Role::ALL)) {
        let (tokens, user, session) = (tokens(), user(role), SessionId::new_v7());
        let token = tokens.issue(&user, session).text;
        for _ in 0..2 {
            prop_assert_eq!(tokens.verify(&token), Some(Caller { id: user.id, role, session }));
        }
    }

    #[test]
    fn only_the_token_itself_is_verified(
        spoilt in Just(tokens().issue(&user(Role::Admin), SessionId::new_v7()).text).prop_flat_map(|token| (nearly(Just(token.clone().into_bytes())), Just(token))),
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
