//! Who may come in, and what they may do there.

mod access;
mod list;
mod passwords;
mod permissions;
mod registration;
mod storm;
mod tokens;

use crate::support::{Bar, Person, person::id};
use serde_json::{Value, json};

/// The account of whoever this is.
async fn account(person: &Person) -> String {
    id(&person.get("/me").await.expect(200)).to_owned()
}

/// Signs in with this address and password, for what is answered.
async fn login(bar: &Bar, email: &str, password: &str) -> crate::support::person::Answer {
    bar.stranger().post("/login", json!({ "email": email, "password": password })).await
}

fn registration(username: &str, email: &str, password: &str) -> Value {
    json!({ "username": username, "email": email, "password": password })
}

/// No answer tells a password or its hash.
#[track_caller]
fn tells_no_hash(text: &str) {
    for secret in ["password_hash", "$2", "\"password\"", "password123"] {
        assert!(!text.contains(secret), "it tells {secret}: {text}");
    }
}
