//! Access tokens that are forged, expired or malformed.

use super::account;
use crate::support::{
    Bar, DatabaseKind, PostgreSql, Sqlite, bar::SECRET, database::Database, eventually, person::send,
};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Encoded headers: `{"alg":"none","typ":"JWT"}` and `{"alg":"RS256","typ":"JWT"}`.
const NONE_HEADER: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
const RS256_HEADER: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9";

/// Builds the header of the bar's own tokens.
fn own_header(algorithm: Algorithm) -> Header {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(b"shakerqueue key id");
    let id = u64::from_be_bytes(*mac.finalize().into_bytes().first_chunk().unwrap());
    let kid = format!("{id:016x}");
    Header { typ: Some("at+jwt".into()), kid: Some(kid), ..Header::new(algorithm) }
}

fn signed(claims: &Value, algorithm: Algorithm, secret: &str) -> String {
    signed_as(&own_header(algorithm), claims, secret)
}

fn signed_as(header: &Header, claims: &Value, secret: &str) -> String {
    encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// Builds a header with an unencoded payload (RFC 7797).
fn unencoded() -> Header {
    let mut header = own_header(Algorithm::HS256);
    header.extras.insert("b64", false);
    Header { crit: Some(vec!["b64".into()]), ..header }
}

/// Builds the claims of a valid token, so that each test changes one thing.
fn claims(account: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({
        "iss": "shakerqueue", "aud": "shakerqueue", "sub": account, "sid": Uuid::now_v7(), "role": "customer",
        "iat": now, "nbf": now, "exp": now + 600,
    })
}

fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<_> = token.split('.').collect();
    parts.try_into().expect("header, payload and signature")
}

/// Builds tokens that someone might try, each with its fault.
fn forged(account: &str) -> Vec<(String, String)> {
    let good = claims(account);
    let faulty = wrong_claims(&good)
        .into_iter()
        .map(|(fault, claims)| (fault, signed(&claims, Algorithm::HS256, SECRET)));
    let malformed = malformed(&good).into_iter().map(|(fault, token)| (fault.to_owned(), token));
    faulty.chain(malformed).collect()
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

fn wrong_claims(good: &Value) -> Vec<(String, Value)> {
    let now = good["iat"].as_u64().unwrap();
    let changed = [
        ("expired", "exp", json!(now - 60)),
        ("expires at no moment", "exp", json!("never")),
        ("not valid yet", "nbf", json!(now + 60)),
        ("of another issuer", "iss", json!("another bar")),
        ("for another audience", "aud", json!("another bar")),
        ("of nobody", "sub", json!("admin")),
        ("of no session", "sid", json!("admin")),
        ("of an unknown role", "role", json!("owner")),
    ];
    let changed = changed.map(|(fault, name, value)| (fault.to_owned(), with(good, name, value)));
    let missing = ["exp", "iss", "aud", "sub", "sid", "role"].map(|name| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        (format!("without {name}"), claims)
    });
    changed.into_iter().chain(missing).collect()
}

/// Builds tokens whose header, signature or form is wrong.
fn malformed(good: &Value) -> Vec<(&'static str, String)> {
    let token = signed(good, Algorithm::HS256, SECRET);
    let [header, payload, signature] = parts(&token);
    let admin = with(good, "role", json!("admin"));
    let raised = signed(&admin, Algorithm::HS256, "someone else's secret, as long as ours");
    let [_, raised, not_ours] = parts(&raised);
    let own = || own_header(Algorithm::HS256);
    let with_header = |header: Header| signed_as(&header, good, SECRET);
    vec![
        ("with a raised role", format!("{header}.{raised}.{signature}")),
        ("signed by someone else", format!("{header}.{raised}.{not_ours}")),
        ("unsigned", format!("{NONE_HEADER}.{payload}.")),
        ("unsigned with a signature", format!("{NONE_HEADER}.{payload}.{signature}")),
        ("without its signature", format!("{header}.{payload}.")),
        ("without its signature's dot", format!("{header}.{payload}")),
        ("that says it is RS256", format!("{RS256_HEADER}.{payload}.{signature}")),
        ("of another type", with_header(Header { typ: Some("JWT".into()), ..own() })),
        ("of no type", with_header(Header { typ: None, ..own() })),
        ("by no key", with_header(Header { kid: None, ..own() })),
        ("by an unknown key", with_header(Header { kid: Some("0123456789abcdef".into()), ..own() })),
        (
            "with an extension that it says is critical",
            with_header(Header { crit: Some(vec!["exp".into()]), ..own() }),
        ),
        ("whose payload is not encoded", with_header(unencoded())),
        ("HS384", signed(good, Algorithm::HS384, SECRET)),
        ("HS512", signed(good, Algorithm::HS512, SECRET)),
        ("with something behind it", format!("{token}.x")),
        ("rubbish", "rubbish".into()),
        ("dots", "..".into()),
        ("endless", "x".repeat(10_000)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_no_good_token_is_not_signed_in() {
    let bar = Bar::open(Sqlite).await;
    let account = account(&bar.customer().await).await;
    let good = signed(&claims(&account), Algorithm::HS256, SECRET);
    // Otherwise all others might be refused for a reason of their own.
    bar.holder_of(&good).get("/me").await.expect(200);

    let mut headers: Vec<(String, String)> =
        forged(&account).into_iter().map(|(what, token)| (what, format!("Bearer {token}"))).collect();
    for (what, header) in [
        ("no scheme", good.clone()),
        ("another scheme", format!("Basic {good}")),
        ("a scheme and no token", "Bearer".into()),
        ("a scheme and a space", "Bearer ".into()),
        ("two schemes", format!("Bearer Bearer {good}")),
        ("nothing", String::new()),
    ] {
        headers.push((what.to_owned(), header));
    }
    let ask = |method, path| bar.stranger().request(method, path);
    for (method, path) in [(Method::GET, "/me"), (Method::GET, "/users"), (Method::POST, "/orders")] {
        for (what, header) in &headers {
            let answer = send(ask(method.clone(), path).header("Authorization", header)).await;
            assert_eq!(answer.status, 401, "{method} {path} with a token {what}: {}", answer.text);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{what}");
            answer.expect_problem(401, "not-signed-in");
        }
        let answer = send(ask(method, path)).await;
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        answer.expect_problem(401, "not-signed-in");
    }
    let bytes = ask(Method::GET, "/me").header("Authorization", b"Bearer \xff\xfe".as_slice());
    send(bytes).await.expect_problem(401, "not-signed-in");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheme_may_be_written_in_any_case() {
    let bar = Bar::open(Sqlite).await;
    let customer = bar.customer().await;
    for scheme in ["bearer", "BEARER"] {
        let header = format!("{scheme} {}", customer.token());
        send(bar.stranger().request(Method::GET, "/me").header("Authorization", header)).await.expect(200);
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_an_account_that_is_not_here_is_none(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let nobody = claims("00000000-0000-7000-8000-000000000000");
    let nobody = bar.holder_of(&signed(&nobody, Algorithm::HS256, SECRET));
    nobody.get("/me").await.expect_problem(401, "not-signed-in");
    nobody.post("/orders", json!({ "recipe": "Negroni" })).await.expect_problem(401, "not-signed-in");
    assert_eq!(bar.employee().await.get("/orders").await.expect(200)["orders"], json!([]));
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_replaced_without_signing_anybody_out() {
    const NEW_SECRET: &str = "the secret of the next quarter, long enough";
    let database = Database::new(PostgreSql).await;
    let with = async |flags: &[&str]| Bar::open_on(database.lent(), flags).await;
    // As they run beside each other while an operator goes from one to the next.
    let old = with(&[]).await;
    let prepared = with(&["--jwt-previous-secrets", NEW_SECRET]).await;
    let changed = with(&["--jwt-secret", NEW_SECRET, "--jwt-previous-secrets", SECRET]).await;
    let done = with(&["--jwt-secret", NEW_SECRET, "--jwt-previous-secrets", ""]).await;
    let (before, after) = (old.customer().await, changed.customer().await);
    for (bar, before_counts, after_counts) in
        [(&old, true, false), (&prepared, true, true), (&changed, true, true), (&done, false, true)]
    {
        for (person, counts) in [(&before, before_counts), (&after, after_counts)] {
            let answer = person.at(&bar.url).get("/me").await;
            assert_eq!(answer.status, if counts { 200 } else { 401 }, "{}", answer.text);
        }
    }
    for bar in [old, prepared, changed, done] {
        bar.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_looked_at_before_expires_like_any_other() {
    let bar = Bar::open(Sqlite).await;
    let mut claims = claims(&account(&bar.customer().await).await);
    // Clocks may differ by 5 s, so that it counts for 2 s more.
    claims["exp"] = json!(claims["iat"].as_u64().unwrap() - 3);
    let person = bar.holder_of(&signed(&claims, Algorithm::HS256, SECRET));
    person.get("/me").await.expect(200);
    eventually("its end", async || (person.get("/me").await.status == 401).then_some(())).await;
    bar.close().await;
}
