//! Access tokens of the demo accounts.

use super::Result;
use reqwest::Client;
use serde_json::{Value, json};
use std::net::SocketAddr;

#[derive(Clone)]
pub struct Tokens {
    pub guest: String,
    pub bartender: String,
}

impl Tokens {
    pub async fn sign_in(serve: SocketAddr) -> Result<Self> {
        let http = Client::new();
        let login = async |email: &str| -> Result<String> {
            let body = json!({ "email": email, "password": "password123" });
            let answer = http.post(format!("http://{serve}/login")).json(&body).send().await?;
            let answer: Value = answer.error_for_status()?.json().await?;
            let token = answer.get("token").and_then(Value::as_str).ok_or("an answer without a token")?;
            Ok(token.to_owned())
        };
        Ok(Self { guest: login("user@example.com").await?, bartender: login("employee@example.com").await? })
    }
}
