//! Settings of the end of a process.

use clap::Args;
use std::time::Duration;

#[derive(Debug, Clone, Copy, Args)]
pub struct ShutdownArgs {
    /// Seconds to finish accepted requests and orders after SIGTERM or SIGINT. A second signal ends the process at once.
    #[arg(long, env = "SHUTDOWN_SECONDS", value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub shutdown_seconds: u64,
}

impl ShutdownArgs {
    pub fn timeout(self) -> Duration {
        Duration::from_secs(self.shutdown_seconds)
    }
}
