//! Access tokens of the demo accounts.

use super::{Result, wait::until};
use reqwest::{Client, StatusCode};
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
            // A `serve` without optimisation may be busy with hashing on a machine that does other things.
            let answer = until("a login while hashing is not busy", async || {
                let answer = http.post(format!("http://{serve}/login")).json(&body).send().await?;
                Ok(Some(answer).filter(|answer| answer.status() != StatusCode::SERVICE_UNAVAILABLE))
            });
            let answer: Value = answer.await?.error_for_status()?.json().await?;
            let token = answer.get("token").and_then(Value::as_str).ok_or("an answer without a token")?;
            Ok(token.to_owned())
        };
        Ok(Self { guest: login("user@example.com").await?, bartender: login("employee@example.com").await? })
    }
}
