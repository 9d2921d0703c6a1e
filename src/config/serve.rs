//! Settings of `serve`.

use super::{
    OrderLimits, Origin, RateLimits, ServerArgs, ShutdownArgs, TraceArgs, TrustedProxies,
    parsers::{count, listen_address, path},
};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use std::{net::SocketAddr, path::PathBuf};

#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub servers: ServerArgs,

    /// The address to listen on.
    #[arg(long, env = "BIND_ADDR", value_name = "IP:PORT", default_value = "127.0.0.1:8080", value_parser = listen_address)]
    pub bind_addr: SocketAddr,

    /// The secret that signs access tokens: at least 32 bytes, the same for every `serve`. Unset on SQLite: it is generated and
    /// kept in a file beside the database; unset with `--demo` on PostgreSQL: it is generated at each start. Prefer the variable:
    /// a flag is visible in the list of processes.
    #[arg(long, env = "JWT_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub jwt_secret: Option<SecretString>,

    /// Further secrets whose tokens are accepted, one per line. To rotate: first set the new secret here on every `serve`; then
    /// make it `JWT_SECRET` and set the old one here; remove that when its tokens have expired.
    #[arg(
        long,
        env = "JWT_PREVIOUS_SECRETS",
        value_name = "SECRET",
        value_delimiter = '\n',
        hide_env_values = true
    )]
    pub jwt_previous_secrets: Vec<SecretString>,

    /// Lifetime of an access token, in minutes. Clients get the next one with their refresh token.
    #[arg(long, env = "TOKEN_MINUTES", value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_TOKEN_MINUTES)))]
    pub token_minutes: u32,

    /// Days without use after which a session ends.
    #[arg(long, env = "SESSION_DAYS", value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub session_days: u32,

    /// Cost of a password hash: each step doubles the time (12: about a quarter of a second).
    #[arg(long, env = "BCRYPT_COST", value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(4..=16))]
    pub bcrypt_cost: u32,

    /// Threads that answer requests. Unset: one per core.
    #[arg(long, env = "HTTP_THREADS", value_name = "N", value_parser = count::<1, 256>)]
    pub http_threads: Option<usize>,

    /// Limit on open connections of clients, without streams of changes; further ones wait. One address may have a quarter of them, a
    /// trusted proxy all.
    #[arg(long, env = "HTTP_CONNECTIONS", value_name = "N", default_value_t = 4096, value_parser = count::<1, 100_000>)]
    pub http_connections: usize,

    /// Seconds after which a waiting order that no open board has shown is told to staff and to its guest.
    #[arg(long, env = "UNSEEN_SECONDS", value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub unseen_seconds: u32,

    /// Limit on streams of changes, beside `HTTP_CONNECTIONS`; beyond it requests for one are answered with 503. One address may have
    /// a quarter of them, a trusted proxy all.
    #[arg(long, env = "STREAMS", value_name = "N", default_value_t = 10_000, value_parser = count::<1, 100_000>)]
    pub streams: usize,

    /// Limit on the bytes of responses that clients have not read yet; beyond it requests are answered with 503.
    #[arg(long, env = "HTTP_ANSWER_BYTES", value_name = "N", default_value_t = 256 << 20, value_parser = count::<{ 4 << 20 }, { 64 << 30 }>)]
    pub http_answer_bytes: usize,

    /// Origins of web pages and apps whose scripts may use the API (CORS), such as `https://bar.example` or
    /// `capacitor://localhost`; `https://*.bar.example` for all subdomains, `*` for any. Unset: only its own.
    #[arg(long, env = "CORS_ORIGINS", value_name = "ORIGIN,…", value_delimiter = ',', value_parser = Origin::parse)]
    pub cors_origins: Vec<Option<Origin>>,

    /// Proxies whose `X-Forwarded-For` and `Forwarded` headers are trusted: addresses or networks, such as
    /// `10.0.0.7,192.168.0.0/16`. Unset: none.
    #[arg(
        long,
        env = "TRUSTED_PROXIES",
        value_name = "IP[/N],…",
        default_value = "",
        hide_default_value = true
    )]
    pub trusted_proxies: TrustedProxies,

    /// Limits on requests per minute, by account and by address: `on`, `off` (for load tests), or changes to the defaults, such as
    /// `ordering=100,login-address=500`. Unless it is `off`, logins are delayed after wrong passwords.
    #[arg(long, env = "RATE_LIMITS", value_name = "on|off|NAME=N,…", default_value = "on")]
    pub rate_limits: RateLimits,

    #[command(flatten)]
    pub ordering: OrderLimits,

    /// The certificate for HTTPS, in PEM, followed by its intermediate certificates. Reloaded when it changes. Unset: HTTP.
    #[arg(long, env = "TLS_CERT_FILE", value_name = "PATH", value_parser = path)]
    pub tls_cert_file: Option<PathBuf>,

    /// The certificate's private key, in PEM.
    #[arg(long, env = "TLS_KEY_FILE", value_name = "PATH", value_parser = path)]
    pub tls_key_file: Option<PathBuf>,

    /// A separate address for `/metrics`, `/healthz` and `/readyz`; `BIND_ADDR` keeps the latter two. Unset: `BIND_ADDR` has all.
    #[arg(long, env = "ADMIN_ADDR", value_name = "IP:PORT", value_parser = listen_address)]
    pub admin_addr: Option<SocketAddr>,

    #[command(flatten)]
    pub tracing: TraceArgs,

    /// Adds the demo accounts and the menu, like `seed`.
    #[arg(long)]
    pub demo: bool,

    /// Migrates the database before it listens. SQLite is always migrated.
    #[arg(long)]
    pub migrate: bool,

    /// With a broker: seconds for which its queues must be empty, while workers are running and the database is writable, until an
    /// accepted order that is not recorded counts as lost. Reading it then returns 404 `no-longer-stored`, and a `serve` that
    /// remembers it publishes it again. Must be longer than a worker may hold an order.
    #[arg(long, env = "QUEUE_SETTLE_SECONDS", value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub queue_settle_seconds: u64,

    /// Seconds to go on serving after the signal, while `/readyz` tells load balancers to send no more requests. Part of
    /// `SHUTDOWN_SECONDS`.
    #[arg(long, env = "SHUTDOWN_DELAY_SECONDS", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=600))]
    pub shutdown_delay_seconds: u64,

    #[command(flatten)]
    pub stopping: ShutdownArgs,
}

pub const MAX_TOKEN_MINUTES: u32 = 24 * 60;

/// HS256 needs a secret as long as its hash.
pub const MIN_SECRET_BYTES: usize = 32;

impl ServeArgs {
    /// An empty variable has none.
    pub fn previous_secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.jwt_previous_secrets.iter().filter(|secret| !secret.expose_secret().is_empty())
    }

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

    /// Checks the lengths of all secrets.
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

#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Followed by its intermediate certificates.
    pub certificate: PathBuf,
    pub key: PathBuf,
}
