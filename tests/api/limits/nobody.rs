//! Requests without a token, or to unknown routes, spend nothing of the rate limits of signed-in guests.

use super::{left, order, with_limits};
use crate::support::{
    Bar, Person,
    bar::SECRET,
    person::{Answer, send},
    raw::Raw,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::{StreamExt, stream};
use jsonwebtoken::{EncodingKey, decode_header, encode};
use reqwest::Method;
use serde_json::{Value, json};

/// Limits so low that each is soon reached.
const LOW_RATE_LIMITS: &str = "ordering-address=3,reading-address=3,writing-address=3,refresh-address=3,login-address=3,\
                   registration-address=3";

/// A guest with an account, its login, and the refresh token of its session.
struct Guest {
    person: Person,
    login: Value,
    refresh_token: Value,
}

async fn register(bar: &Bar) -> Answer {
    let name = uuid::Uuid::new_v4().simple().to_string();
    let account =
        json!({ "username": name, "email": format!("{name}@example.com"), "password": "a good password" });
    bar.stranger().post("/register", account).await
}

async fn guest(bar: &Bar) -> Guest {
    let session = register(bar).await.expect(201);
    Guest {
        person: bar.holder_of(session["token"].as_str().unwrap()),
        login: json!({ "email": session["user"]["email"], "password": "a good password" }),
        refresh_token: session["refresh_token"].clone(),
    }
}

/// Builds a well-formed refresh token of no session.
fn no_refresh_token() -> Value {
    json!({ "refresh_token": BASE64_URL_SAFE_NO_PAD.encode([7; 48]) })
}

/// Signs a copy of the token that has expired.
fn expired(token: &str) -> String {
    let claims = token.split('.').nth(1).expect("claims");
    let mut claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    claims["exp"] = json!(claims["iat"].as_u64().unwrap() - 3600);
    let header = decode_header(token).expect("a header");
    encode(&header, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token")
}

/// Builds every kind of request that is refused before it has an effect.
fn rubbish() -> Vec<(Method, &'static str, Value, u16)> {
    vec![
        (Method::POST, "/orders", order(), 401),
        (Method::POST, "/orders/0199f3a4-c0de-7000-a1b2-c3d4e5f60718/cancel", json!({}), 401),
        (Method::POST, "/orders/next", json!({}), 401),
        (Method::POST, "/token/refresh", json!({}), 422),
        (Method::POST, "/token/refresh", no_refresh_token(), 401),
        (Method::POST, "/register", json!({}), 422),
        (Method::POST, "/login", json!({}), 422),
        (Method::POST, "/login", Value::String("x".repeat(70_000)), 413),
        (Method::PUT, "/me/password", json!({}), 401),
        (Method::GET, "/me", json!({}), 401),
        (Method::GET, "/nothing", json!({}), 404),
        (Method::POST, "/nothing", json!({}), 404),
        (Method::PATCH, "/orders", json!({}), 405),
    ]
}

async fn ask(who: &Person, method: &Method, path: &str, body: &Value) -> Answer {
    send(who.request(method.clone(), path).json(body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_comes_without_a_token_spends_nothing_that_guests_share() {
    let bar = with_limits(LOW_RATE_LIMITS, &[]).await;
    let guest = guest(&bar).await;
    for (method, path, body, status) in rubbish() {
        for _ in 0..10 {
            let answer = ask(&bar.stranger(), &method, path, &body).await;
            assert_eq!(left(&answer)[0].0, "anonymous-address", "{method} {path}");
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        }
    }
    // Also by others' tokens that count no more, and by what no token is.
    let forger = bar.holder_of(&format!("{}x", guest.person.token()));
    for _ in 0..10 {
        forger.post("/orders", order()).await.expect_problem(401, "not-signed-in");
    }
    let placed = guest.person.post("/orders", order()).await;
    assert_eq!(left(&placed)[1], ("ordering-address".to_owned(), 2));
    guest.person.moves(&placed.expect(201), "cancel").await.expect(200);
    guest.person.get("/orders").await.expect(200);
    bar.stranger().post("/login", guest.login.clone()).await.expect(200);
    let next = json!({ "refresh_token": guest.refresh_token });
    bar.stranger().post("/token/refresh", next).await.expect(200);
    register(&bar).await.expect(201);
    bar.close().await;
}

/// Repeats a request until it gets a 429. Requests that the limit regains meanwhile are used up as well.
async fn use_up(bar: &Bar, door: &str) {
    for _ in 0..50 {
        if bar.stranger().post(door, json!({})).await.status == 429 {
            return;
        }
    }
    panic!("{door} is never used up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_may_ask_without_end_and_is_refused_before_the_body_is_read() {
    // One more a minute: on a slow machine nothing is given back between two requests.
    let bar = with_limits("anonymous-address=1", &[]).await;
    let guest = guest(&bar).await;
    for door in ["/login", "/token/refresh", "/register", "/orders"] {
        use_up(&bar, door).await;
        let mut raw = Raw::open(&bar.url).await;
        let head = format!(
            "POST {door} HTTP/1.1\r\nHost: bar\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
        );
        raw.send(head.as_bytes()).await;
        let refused = raw.answer().await.expect("an answer to a body that never comes");
        assert_eq!(left(&refused), [("anonymous-address".to_owned(), 0)], "{door}");
        let problem = refused.expect_problem(429, "too-many-requests");
        assert!(problem["detail"].as_str().unwrap().contains("anonymous-address"), "{problem}");
    }
    // Elsewhere all is one.
    bar.stranger().get("/recipes").await.expect_problem(429, "too-many-requests");
    guest.person.post("/orders", order()).await.expect(201);
    guest.person.get("/recipes").await.expect(200);
    // A session goes on, also with a token that has expired.
    let mut refresh_token = guest.refresh_token;
    for token in [guest.person.token().to_owned(), expired(guest.person.token())] {
        let next = json!({ "refresh_token": refresh_token });
        let session = bar.holder_of(&token).post("/token/refresh", next).await.expect(200);
        refresh_token = session["refresh_token"].clone();
    }
    let forged = bar.holder_of(&format!("{}x", guest.person.token()));
    let next = json!({ "refresh_token": refresh_token });
    forged.post("/token/refresh", next).await.expect_problem(429, "too-many-requests");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_share_of_an_address_grows_with_its_guests_up_to_a_ceiling() {
    let bar = with_limits("ordering-address=5,registration-address=1000", &[]).await;
    let mut guests = Vec::new();
    let quota = |answer: &Answer| {
        let policies = answer.header("ratelimit-policy").expect("policies");
        let (_, address) = policies.split_once("\"ordering-address\";q=").expect("that of the address");
        address.split_once(';').expect("a window").0.parse::<u32>().expect("a number")
    };
    for (number, share) in [(9, 5), (12, 10), (150, 50)] {
        let coming: Vec<_> =
            stream::iter((guests.len()..number).map(|_| bar.guest())).buffer_unordered(8).collect().await;
        guests.extend(coming);
        // Who comes to the bar is seen, whatever they ask for.
        for guest in &guests {
            guest.get("/recipes").await.expect(200);
        }
        let placed = guests[0].post("/orders", order()).await;
        assert_eq!(quota(&placed), share, "{number} guests");
        placed.expect(201);
    }
    let mut taken = 0;
    for guest in guests.iter().cycle().take(400) {
        let answer = guest.post("/orders", order()).await;
        if answer.status == 429 {
            let problem = answer.expect_problem(429, "too-many-requests");
            assert_eq!(problem["detail"], "ordering-address: more than 50 requests a minute.");
            break;
        }
        answer.expect(201);
        taken += 1;
    }
    assert!((1..300).contains(&taken), "{taken}");
    // Those who registered many accounts get no more of them by that, nor more guesses.
    let answer = register(&bar).await;
    assert!(
        answer
            .header("ratelimit-policy")
            .expect("policies")
            .ends_with("\"registration-address\";q=1000;w=60")
    );
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_at_passwords_keeps_nobody_out_who_is_known_at_the_address() {
    let bar = with_limits("login-address=3,login=2", &[]).await;
    let guest = guest(&bar).await;
    let stranger_tries = async || {
        let email = format!("{}@example.com", uuid::Uuid::new_v4());
        bar.stranger().post("/login", json!({ "email": email, "password": "a good password" })).await
    };
    let mut told = Vec::new();
    for _ in 0..3 {
        let answer = stranger_tries().await;
        told.push(answer.header("ratelimit-policy").map(str::to_owned));
        answer.expect_problem(401, "wrong-password");
    }
    for _ in 0..3 {
        let problem = stranger_tries().await.expect_problem(429, "too-many-requests");
        assert!(problem["detail"].as_str().unwrap().starts_with("login-address"), "{problem}");
    }
    // Known here, since it registered here. Nobody is told so beforehand.
    let signed_in = bar.stranger().post("/login", guest.login.clone()).await;
    told.push(signed_in.header("ratelimit-policy").map(str::to_owned));
    signed_in.expect(200);
    assert!(told.iter().all(|policies| *policies == told[0]), "{told:?}");
    bar.stranger().post("/login", guest.login.clone()).await.expect(200);
    let problem =
        bar.stranger().post("/login", guest.login.clone()).await.expect_problem(429, "too-many-requests");
    assert!(problem["detail"].as_str().unwrap().starts_with("login:"), "{problem}");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_under_its_accounts_own_limit() {
    let bar = with_limits("refresh=2,refresh-address=100", &[]).await;
    let [first, other] = [guest(&bar).await, guest(&bar).await];
    let mut token = first.refresh_token;
    for left_over in [1, 0] {
        let answer = bar.stranger().post("/token/refresh", json!({ "refresh_token": token })).await;
        let names: Vec<_> = left(&answer).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["anonymous-address", "refresh", "refresh-address"]);
        assert_eq!(left(&answer)[1].1, left_over);
        token = answer.expect(200)["refresh_token"].clone();
    }
    let refused = bar.stranger().post("/token/refresh", json!({ "refresh_token": token })).await;
    assert!(refused.header("retry-after").is_some());
    let problem = refused.expect_problem(429, "too-many-requests");
    assert!(problem["detail"].as_str().unwrap().starts_with("refresh:"), "{problem}");
    let next = json!({ "refresh_token": other.refresh_token });
    bar.stranger().post("/token/refresh", next.clone()).await.expect(200);
    // Asked once more, since the answer was lost: it counts as well.
    let again = bar.stranger().post("/token/refresh", next).await;
    assert_eq!(left(&again)[1], ("refresh".to_owned(), 0));
    again.expect(200);
    bar.close().await;
}
