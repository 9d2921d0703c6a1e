//! `shakerqueue health`

use super::Failure;
use awc::Client;
use clap::Args;
use std::time::Duration;

/// Whom to ask.
#[derive(Debug, Args)]
pub struct Asking {
    /// The address to ask: `/healthz` tells whether a role lives, `/readyz` whether it is ready.
    #[arg(long, env = "HEALTH_URL", value_name = "URL", default_value = "http://127.0.0.1:8080/healthz")]
    url: String,
}

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks a running role whether it is well.
pub async fn run(asking: Asking) -> Result<(), Failure> {
    // The client's futures stay on one thread.
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let client = Client::builder().timeout(PATIENCE).finish();
            let mut response = client
                .get(&asking.url)
                .send()
                .await
                .map_err(|error| Failure::new(format!("{} does not answer: {error}", asking.url)))?;
            let body = response.body().await.unwrap_or_default();
            let body = String::from_utf8_lossy(&body);
            if !response.status().is_success() {
                return Err(Failure::new(format!("{} answered {}: {body}", asking.url, response.status())));
            }
            println!("{body}");
            Ok(())
        })
        .await
}
