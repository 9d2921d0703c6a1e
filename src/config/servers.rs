//! Settings of the servers that a process uses.

use super::parsers::count;
use clap::Args;
use secrecy::SecretString;
use std::time::Duration;

#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// The database: `postgres://USER:PASSWORD@HOST/NAME` or `sqlite://PATH`, percent-encoded. Unset: the file
    /// `shakerqueue.db` in the current folder.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,

    /// Limit on connections to the database, for each process.
    #[arg(long, env = "DATABASE_CONNECTIONS", value_name = "N", default_value_t = 10, value_parser = count::<1, 1000>)]
    pub database_connections: usize,
}

#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// The broker, which keeps orders for workers: `amqp://USER:PASSWORD@HOST:5672/VHOST`. Unset: each `serve` records its own
    /// orders.
    #[arg(long, env = "AMQP_URL", value_name = "URL", hide_env_values = true)]
    pub amqp_url: Option<SecretString>,

    /// Prefix for the names of exchanges and queues, so that several installations can share a broker.
    #[arg(long, env = "QUEUE_PREFIX", value_name = "NAME", default_value = "shakerqueue")]
    pub queue_prefix: String,

    /// The broker's management API, from which `serve` reads the policies of its queues: `http://USER:PASSWORD@HOST:15672`. Unset:
    /// port 15672 of the broker's host, with the user of `AMQP_URL`. If it does not answer, `serve` tests the policies with probe
    /// messages.
    #[arg(long, env = "AMQP_MANAGEMENT_URL", value_name = "URL", hide_env_values = true)]
    pub amqp_management_url: Option<SecretString>,

    /// Delays before an order that failed for a transient reason is tried again, in seconds: one retry after each of them. Then it
    /// becomes a dead letter. Must be the same for `serve`, which looks into the queues of delayed orders.
    #[arg(long, env = "RETRY_SECONDS", value_name = "N,N,…", default_value = "1,5,30,120,600", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub retry_seconds: Vec<u64>,
}

impl ServerArgs {
    pub fn retry_delays(&self) -> Vec<Duration> {
        self.retry_seconds.iter().copied().map(Duration::from_secs).collect()
    }
}
