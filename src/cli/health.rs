//! `shakerqueue health`

use super::error::{CliError, say};
use clap::Args;
use rustls::crypto::aws_lc_rs;
use std::{sync::Arc, time::Duration};
use ureq::{Agent, tls::TlsConfig};

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// The address to ask: `/healthz` answers while the process is alive, `/readyz` while it is ready to work.
    #[arg(long, env = "HEALTH_URL", value_name = "URL", default_value = "http://127.0.0.1:8080/healthz")]
    url: String,
}

const MAX_ANSWER_BYTES: u64 = 64 * 1024;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) async fn run(HealthArgs { url }: HealthArgs) -> Result<(), CliError> {
    say(tokio::task::spawn_blocking(move || ask(&url)).await??);
    Ok(())
}

fn ask(url: &str) -> Result<String, CliError> {
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(ANSWER_TIMEOUT))
        // The certificate need not match: nothing secret is sent, and no certificate names the local address.
        .tls_config(
            TlsConfig::builder()
                .disable_verification(true)
                .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
                .build(),
        )
        .http_status_as_error(false)
        // The process is on this machine: a proxy from the environment is for connections to elsewhere.
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
