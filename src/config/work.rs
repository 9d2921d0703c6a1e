//! Settings of `work`.

use super::{
    ServerArgs, ShutdownArgs, TraceArgs,
    parsers::{count, listen_address},
};
use clap::Args;
use std::net::SocketAddr;

#[derive(Debug, Clone, Args)]
pub struct WorkArgs {
    #[command(flatten)]
    pub servers: ServerArgs,

    /// The address for `/healthz`, `/readyz` and `/metrics`. Unset: none.
    #[arg(long, env = "ADMIN_ADDR", value_name = "IP:PORT", value_parser = listen_address)]
    pub admin_addr: Option<SocketAddr>,

    #[command(flatten)]
    pub tracing: TraceArgs,

    /// Limit on orders recorded in one transaction.
    #[arg(long, env = "BATCH_SIZE", value_name = "N", default_value_t = 500, value_parser = count::<1, 2000>)]
    pub batch_size: usize,

    #[command(flatten)]
    pub stopping: ShutdownArgs,
}
