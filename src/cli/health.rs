//! `shakerqueue health`

use super::error::{CliError, say};
use clap::Args;
use rustls::crypto::aws_lc_rs;
use std::{sync::Arc, time::Duration};
use ureq::{Agent, tls::TlsConfig};

/// Whom to ask.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// The address to ask: `/healthz` tells whether a role lives, `/readyz` whether it is ready.
    #[arg(long, env = "HEALTH_URL", value_name = "URL", default_value = "http://127.0.0.1:8080/healthz")]
    url: String,
}

/// The longest answer that is read.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// How long it may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Asks a running role whether it is well.
pub async fn run(HealthArgs { url }: HealthArgs) -> Result<(), CliError> {
    let answer = tokio::task::spawn_blocking(move || ask(&url)).await;
    say(answer.map_err(|error| CliError::new(error.to_string()))??);
    Ok(())
}

fn ask(url: &str) -> Result<String, CliError> {
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(ANSWER_TIMEOUT))
        // Whose certificate it is does not matter: nothing secret is said, and here it goes by an address that is in none.
        .tls_config(
            TlsConfig::builder()
                .disable_verification(true)
                .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
                .build(),
        )
        .http_status_as_error(false)
        // Who is asked is here; what the environment says about the way out does not matter.
        .proxy(None)
        .build()
        .into();
    let silent = |error| CliError::new(format!("{url} does not answer: {error}"));
    let mut response = agent.get(url).call().map_err(silent)?;
    let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_string().map_err(silent)?;
    if response.status().is_success() {
        Ok(body)
    } else {
        Err(CliError::new(format!("{url} answered {}: {body}", response.status())))
    }
}
