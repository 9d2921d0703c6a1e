//! Accounts: registration, login, sessions and permissions.

mod access;
mod guessing;
mod list;
mod passwords;
mod permissions;
mod registration;
mod sessions;
mod storm;
mod timing;
mod tokens;

use crate::support::{Bar, Person, person::id};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// Returns the account id of a person.
async fn account(person: &Person) -> String {
    id(&person.get("/me").await.expect(200)).to_owned()
}

/// Signs in and returns the answer.
async fn login(bar: &Bar, email: &str, password: &str) -> crate::support::person::Answer {
    bar.stranger().post("/login", json!({ "email": email, "password": password })).await
}

/// Signs a guest in again, into another session.
async fn again(bar: &Bar, email: &str) -> Person {
    let signed_in = login(bar, email, "a good password").await.expect(200);
    bar.holder_of(signed_in["token"].as_str().unwrap())
}

/// Returns the e-mail address of a guest.
async fn email(guest: &Person) -> String {
    guest.get("/me").await.expect(200)["email"].as_str().unwrap().to_owned()
}

/// Flags of a bar that throttles wrong passwords, limits nothing else, and trusts `X-Forwarded-For`.
const LOGIN_LIMIT_FLAGS: [&str; 4] = [
    "--rate-limits",
    "login=100000,login-address=100000,registration-address=100000,writing-address=100000",
    "--trusted-proxies",
    "127.0.0.1",
];

/// Returns a stranger at this address.
fn stranger_at(bar: &Bar, address: &str) -> Person {
    let mut headers = HeaderMap::new();
    headers.insert("X-Forwarded-For", address.parse().unwrap());
    let http = reqwest::Client::builder().default_headers(headers).build().unwrap();
    Person::new(&http, &bar.url, None)
}

fn registration(username: &str, email: &str, password: &str) -> Value {
    json!({ "username": username, "email": email, "password": password })
}

/// Asserts that an answer has no password and no hash.
#[track_caller]
fn tells_no_hash(text: &str) {
    for secret in ["password_hash", "$2", "\"password\"", "password123"] {
        assert!(!text.contains(secret), "it tells {secret}: {text}");
    }
}
