//! Every setting, read in one place from flags and the environment.

mod listen_address;
mod order_limits;
mod origins;
mod rate_limits;
#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail where it stands")]
mod setting_tests;
mod sqlite_url;
mod trusted_proxies;

use clap::{Args, ValueEnum};
use listen_address::listen_address;
pub use order_limits::{OpenOrdersLimit, OrderLimits};
pub use origins::Origin;
pub use rate_limits::{BudgetOwner, Policy, RateLimits, RouteClass};
use secrecy::{ExposeSecret, SecretString};
pub use sqlite_url::{SqliteUrlError, sqlite_path};
use std::{convert::Infallible, net::SocketAddr, path::PathBuf, time::Duration};
pub use trusted_proxies::TrustedProxies;
use url::{ParseError, Url};

/// Where the data is.
#[derive(Debug, Clone, Args)]
pub struct Database {
    /// Where orders, accounts and the menu are: `postgres://USER:PASSWORD@HOST/NAME` or `sqlite://PATH`, percent-encoded.
    /// Unset: the file `shakerqueue.db` in the current folder.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", value_parser = secret, hide_env_values = true)]
    pub database_url: Option<SecretString>,

    /// The most connections to the database that one process opens.
    #[arg(long, env = "DATABASE_CONNECTIONS", value_name = "N", default_value_t = 10, value_parser = count::<1, 1000>)]
    pub database_connections: usize,
}

/// Where the data is, and where orders wait.
#[derive(Debug, Clone, Args)]
pub struct Servers {
    /// Where the data is.
    #[command(flatten)]
    pub database: Database,

    /// Where orders wait for workers: `amqp://USER:PASSWORD@HOST:5672/VHOST`. Unset: each `serve` records its own orders.
    #[arg(long, env = "AMQP_URL", value_name = "URL", value_parser = secret, hide_env_values = true)]
    pub amqp_url: Option<SecretString>,

    /// Names the broker's exchanges and queues, so that several systems can share one broker.
    #[arg(long, env = "QUEUE_PREFIX", value_name = "NAME", default_value = "shakerqueue")]
    pub queue_prefix: String,

    /// The broker's management API, which tells the policies of its queues: `http://USER:PASSWORD@HOST:15672`. Unset: port 15672 of
    /// the broker's host, with the user of `AMQP_URL`. Where it does not answer, `serve` finds out by probes what policies do.
    #[arg(long, env = "AMQP_MANAGEMENT_URL", value_name = "URL", value_parser = secret, hide_env_values = true)]
    pub amqp_management_url: Option<SecretString>,

    /// How long to wait before an order that the database refuses, for a reason that may pass, is tried again: once after each
    /// of these times, in seconds. After that it is a dead letter. The same for `serve`, which looks where such orders wait.
    #[arg(long, env = "RETRY_SECONDS", value_name = "N,N,…", default_value = "1,5,30,120,600", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub retry_seconds: Vec<u64>,
}

impl Servers {
    /// The pauses before an order is tried again that could not be stored.
    pub fn retries(&self) -> Vec<Duration> {
        self.retry_seconds.iter().copied().map(Duration::from_secs).collect()
    }
}

/// How the log is written. What is logged says `RUST_LOG`.
#[derive(Debug, Clone, Copy, Args)]
pub struct Logging {
    /// How the log is written: for people, or a JSON object a line.
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

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Where traces go.
#[derive(Debug, Clone, Args)]
pub struct Tracing {
    /// The collector that traces are sent to (OpenTelemetry, OTLP over HTTP), such as `http://127.0.0.1:4318`. Unset: nothing is traced.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", value_parser = secret, hide_env_values = true)]
    pub otel_exporter_otlp_endpoint: Option<SecretString>,

    /// Which part of the requests begins a trace, from 0 to 1.
    #[arg(id = "trace_ratio", long = "otel-traces-sampler-arg", env = "OTEL_TRACES_SAMPLER_ARG", value_name = "RATIO", default_value_t = 1.0, value_parser = ratio)]
    pub ratio: f64,
}

impl Tracing {
    /// The collector's address, if there is one, or a sentence that says what is wrong with it and does not repeat it.
    pub fn endpoint(&self) -> Result<Option<&str>, &'static str> {
        const WRONG_PORT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT must have a port of 1 to 65535, such as 4318";
        let endpoint = self.otel_exporter_otlp_endpoint.as_ref().map(ExposeSecret::expose_secret);
        let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.is_empty()) else { return Ok(None) };
        match Url::parse(endpoint) {
            Err(ParseError::InvalidPort) => Err(WRONG_PORT),
            Ok(url) if url.port() == Some(0) => Err(WRONG_PORT),
            Ok(url) if ["http", "https"].contains(&url.scheme()) && url.host().is_some() => {
                Ok(Some(endpoint))
            }
            _ => Err("OTEL_EXPORTER_OTLP_ENDPOINT must be an address such as http://127.0.0.1:4318"),
        }
    }
}

/// What `serve` needs to know.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Where the data is.
    #[command(flatten)]
    pub servers: Servers,

    /// Where to listen.
    #[arg(long, env = "BIND_ADDR", value_name = "IP:PORT", default_value = "127.0.0.1:8080", value_parser = listen_address)]
    pub bind_addr: SocketAddr,

    /// Signs tokens: at least 32 bytes, the same for every `serve`. On SQLite it is made and kept in a file beside the database
    /// when unset; with `--demo` on PostgreSQL it is made anew at each start. Prefer the variable: a flag
    /// shows in the list of processes.
    #[arg(long, env = "JWT_SECRET", value_name = "SECRET", value_parser = secret, hide_env_values = true)]
    pub jwt_secret: Option<SecretString>,

    /// Secrets that signed before `JWT_SECRET` did, a line each: their tokens are still accepted. To rotate, give every
    /// `serve` the new one here, then make it `JWT_SECRET` and the old one previous, and drop that when its tokens have expired.
    #[arg(long, env = "JWT_PREVIOUS_SECRETS", value_name = "SECRET", value_delimiter = '\n', value_parser = secret, hide_env_values = true)]
    pub jwt_previous_secrets: Vec<SecretString>,

    /// How long a token lasts, in minutes; with its refresh token a client gets the next one.
    #[arg(long, env = "TOKEN_MINUTES", value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_TOKEN_MINUTES)))]
    pub token_minutes: u32,

    /// How long a session goes on without being used, in days: whoever stays away for longer signs in again.
    #[arg(long, env = "SESSION_DAYS", value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub session_days: u32,

    /// What a password hash costs: each step doubles the time (12: about a quarter of a second).
    #[arg(long, env = "BCRYPT_COST", value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(4..=16))]
    pub bcrypt_cost: u32,

    /// Threads that answer requests. Unset: one a core.
    #[arg(long, env = "HTTP_THREADS", value_name = "N", value_parser = count::<1, 256>)]
    pub http_threads: Option<usize>,

    /// The most connections of clients at a time; more wait to be let in. An address has a quarter of them, a trusted proxy all.
    #[arg(long, env = "HTTP_CONNECTIONS", value_name = "N", default_value_t = 4096, value_parser = count::<1, 100_000>)]
    pub http_connections: usize,

    /// The most bytes of answers that clients have not taken yet; beyond them requests are answered with 503.
    #[arg(long, env = "HTTP_ANSWER_BYTES", value_name = "N", default_value_t = 256 << 20, value_parser = count::<{ 4 << 20 }, { 64 << 30 }>)]
    pub http_answer_bytes: usize,

    /// Origins of web pages and apps whose scripts may use the API, such as `https://bar.example` or `capacitor://localhost`;
    /// `https://*.bar.example` for all subdomains, `*` for any. Unset: none but its own.
    #[arg(long, env = "CORS_ORIGINS", value_name = "ORIGIN,…", value_delimiter = ',', value_parser = Origin::parse)]
    pub cors_origins: Vec<Option<Origin>>,

    /// Proxies that are believed about where a request came from (`X-Forwarded-For`, `Forwarded`): addresses or networks, such
    /// as `10.0.0.7,192.168.0.0/16`. Unset: none.
    #[arg(
        long,
        env = "TRUSTED_PROXIES",
        value_name = "IP[/N],…",
        default_value = "",
        hide_default_value = true
    )]
    pub trusted_proxies: TrustedProxies,

    /// How many requests a minute this process answers, by account and by address: `on`, `off` (for load tests), or what shall
    /// differ, such as `ordering=100,login-address=500`. Unless it is `off`, wrong passwords slow down those that follow.
    #[arg(long, env = "RATE_LIMITS", value_name = "on|off|NAME=N,…", default_value = "on")]
    pub rate_limits: RateLimits,

    /// How much a guest may order.
    #[command(flatten)]
    pub ordering: OrderLimits,

    /// The certificate with which to speak HTTPS, in PEM, followed by those it was signed with. Read again when it
    /// changes. Unset: HTTP.
    #[arg(long, env = "TLS_CERT_FILE", value_name = "PATH", value_parser = path)]
    pub tls_cert_file: Option<PathBuf>,

    /// The certificate's private key, in PEM.
    #[arg(long, env = "TLS_KEY_FILE", value_name = "PATH", value_parser = path)]
    pub tls_key_file: Option<PathBuf>,

    /// Where `/metrics` is answered, and `/healthz` and `/readyz` too. Unset: where the rest is.
    #[arg(long, env = "ADMIN_ADDR", value_name = "IP:PORT", value_parser = listen_address)]
    pub admin_addr: Option<SocketAddr>,

    /// Where traces go.
    #[command(flatten)]
    pub tracing: Tracing,

    /// Adds the demo accounts and the menu, as `seed` does.
    #[arg(long)]
    pub demo: bool,

    /// Migrates the database first. SQLite is always migrated.
    #[arg(long)]
    pub migrate: bool,

    /// Where there is a broker: how long its queues must be seen empty, while workers take orders and the database stores them,
    /// until an accepted order that is not stored counts as gone, in seconds. It then reads 404 `no-longer-stored`, and is
    /// published again where it is remembered. Longer than a worker may hold an order.
    #[arg(long, env = "QUEUE_SETTLE_SECONDS", value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub queue_settle_seconds: u64,

    /// How long to go on as before after the signal, in seconds, while `/readyz` tells load balancers to send nothing more
    /// here. Counts towards `SHUTDOWN_SECONDS`.
    #[arg(long, env = "SHUTDOWN_DELAY_SECONDS", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=600))]
    pub shutdown_delay_seconds: u64,

    /// How it stops.
    #[command(flatten)]
    pub stopping: ShutdownArgs,
}

/// What `work` needs to know.
#[derive(Debug, Clone, Args)]
pub struct WorkArgs {
    /// Where the data is.
    #[command(flatten)]
    pub servers: Servers,

    /// Where `/healthz`, `/readyz` and `/metrics` are answered. Unset: nowhere.
    #[arg(long, env = "ADMIN_ADDR", value_name = "IP:PORT", value_parser = listen_address)]
    pub admin_addr: Option<SocketAddr>,

    /// Where traces go.
    #[command(flatten)]
    pub tracing: Tracing,

    /// The most orders stored in one transaction.
    #[arg(long, env = "BATCH_SIZE", value_name = "N", default_value_t = 500, value_parser = count::<1, 2000>)]
    pub batch_size: usize,

    /// How it stops.
    #[command(flatten)]
    pub stopping: ShutdownArgs,
}

/// How a role stops.
#[derive(Debug, Clone, Copy, Args)]
pub struct ShutdownArgs {
    /// After SIGTERM or SIGINT: how long to finish what was accepted, in seconds. A second signal ends at once.
    #[arg(long, env = "SHUTDOWN_SECONDS", value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub shutdown_seconds: u64,
}

impl ShutdownArgs {
    /// How long to finish what was accepted.
    pub fn within(self) -> Duration {
        Duration::from_secs(self.shutdown_seconds)
    }
}

/// The longest that a token may last, in minutes: a day.
pub const MAX_TOKEN_MINUTES: u32 = 1440;

/// The fewest bytes of a secret that signs tokens (HS256: as long as its hash).
pub const MIN_SECRET_BYTES: usize = 32;

impl ServeArgs {
    /// Those that signed before; an empty variable names none.
    pub fn previous_secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.jwt_previous_secrets.iter().filter(|secret| !secret.expose_secret().is_empty())
    }

    /// The files of the certificate, if there is one, or a sentence that says which is missing.
    pub fn tls_files(&self) -> Result<Option<TlsFiles>, String> {
        let given = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        match (given(&self.tls_cert_file), given(&self.tls_key_file)) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
            (Some(_), None) => {
                Err("TLS_CERT_FILE needs TLS_KEY_FILE: the private key of the certificate".into())
            }
            (None, Some(_)) => Err("TLS_KEY_FILE needs TLS_CERT_FILE: the certificate of the key".into()),
        }
    }

    /// The given secret, or a sentence that says what is wrong with it or with the previous ones.
    pub fn checked_secret(&self) -> Result<Option<&SecretString>, String> {
        if self.previous_secrets().any(|secret| secret.expose_secret().len() < MIN_SECRET_BYTES) {
            return Err(format!("JWT_PREVIOUS_SECRETS must have at least {MIN_SECRET_BYTES} bytes each"));
        }
        match self.jwt_secret.as_ref().filter(|secret| !secret.expose_secret().is_empty()) {
            Some(secret) if secret.expose_secret().len() < MIN_SECRET_BYTES => Err(format!(
                "JWT_SECRET must have at least {MIN_SECRET_BYTES} bytes (try: openssl rand -base64 48)"
            )),
            secret => Ok(secret),
        }
    }
}

/// Where a certificate and its key are.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, and those it was signed with.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Also an empty one, which names no file.
#[expect(clippy::unnecessary_wraps, reason = "clap wants a parser that could fail")]
fn path(text: &str) -> Result<PathBuf, Infallible> {
    Ok(PathBuf::from(text))
}

#[expect(clippy::unnecessary_wraps, reason = "clap wants a parser that could fail")]
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

fn ratio(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).ok_or("must be 0 to 1")
}

fn count<const MIN: usize, const MAX: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (MIN..=MAX).contains(&count) => Ok(count),
        _ => Err(format!("must be {MIN} to {MAX}")),
    }
}
