//! Settings of the log and of traces.

use super::parsers::ratio;
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret, SecretString};
use url::{ParseError, Url};

#[derive(Debug, Clone, Copy, Args)]
pub struct LogArgs {
    /// The format of the log: text for people, or one JSON object per line.
    #[arg(
        long,
        env = "LOG_FORMAT",
        value_name = "text|json",
        default_value = "text",
        hide_possible_values = true,
        global = true
    )]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Args)]
pub struct TraceArgs {
    /// The collector of traces (OpenTelemetry, OTLP over HTTP), such as `http://127.0.0.1:4318`. Unset: nothing is traced.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub otel_exporter_otlp_endpoint: Option<SecretString>,

    /// Share of requests that begin a trace, from 0 to 1.
    #[arg(id = "trace_ratio", long = "otel-traces-sampler-arg", env = "OTEL_TRACES_SAMPLER_ARG", value_name = "RATIO", default_value_t = 1.0, value_parser = ratio)]
    pub ratio: f64,
}

impl TraceArgs {
    /// The address of the collector. The error does not repeat it, because it may contain a password.
    pub fn endpoint(&self) -> Result<Option<&str>, &'static str> {
        const INVALID_PORT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT must have a port of 1 to 65535, such as 4318";
        let endpoint = self.otel_exporter_otlp_endpoint.as_ref().map(ExposeSecret::expose_secret);
        let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.is_empty()) else { return Ok(None) };
        match Url::parse(endpoint) {
            Err(ParseError::InvalidPort) => Err(INVALID_PORT),
            Ok(url) if url.port() == Some(0) => Err(INVALID_PORT),
            Ok(url) if ["http", "https"].contains(&url.scheme()) && url.host().is_some() => {
                Ok(Some(endpoint))
            }
            _ => Err("OTEL_EXPORTER_OTLP_ENDPOINT must be an address such as http://127.0.0.1:4318"),
        }
    }
}
