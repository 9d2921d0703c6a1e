//! The limit of open files (`RLIMIT_NOFILE`). Each connection of a client is a file, and the usual limit of 1024 is lower than the
//! number of clients that `serve` accepts by default.

use super::error::CliError;
use rlimit::increase_nofile_limit;

/// Files that are not counted one by one: the log, listeners, the broker, name resolution, certificates, threads' event queues, and
/// connections that are being opened or closed.
const RESERVED_FILES: usize = 64;
/// SQLite opens the database, its log and its index.
const FILES_PER_DATABASE_CONNECTION: usize = 3;
/// `serve` does not start with fewer client connections.
const MIN_CONNECTIONS: usize = 16;

/// Files that a process needs beside those of its clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenFiles {
    pub(super) database: usize,
    /// Threads of the server, and connections to the admin server.
    pub(super) others: usize,
}

impl OpenFiles {
    /// Raises the limit of open files to suit this number of client connections. Returns the number that is possible: where the
    /// system allows fewer files it is lower, and the log says so.
    pub(super) fn allow(self, connections: usize) -> Result<usize, CliError> {
        let limit = increase_nofile_limit((self.total() + connections) as u64)
            .map_err(|error| CliError::new(format!("failed to raise the limit of open files: {error}")))?;
        let possible = self.possible(connections, usize::try_from(limit).unwrap_or(usize::MAX))?;
        if possible < connections {
            tracing::warn!(
                limit,
                "HTTP_CONNECTIONS is lowered from {connections} to {possible}: the system allows {limit} open files \
                 (ulimit -n), of which {} are for other things; raise the hard limit to {}",
                self.total(),
                self.total() + connections,
            );
        }
        Ok(possible)
    }

    fn possible(self, connections: usize, limit: usize) -> Result<usize, CliError> {
        let possible = connections.min(limit.saturating_sub(self.total()));
        if limit < self.total() || possible < connections.min(MIN_CONNECTIONS) {
            let needed = self.total() + connections;
            return Err(CliError::new(format!(
                "the system allows {limit} open files (ulimit -n), too few for DATABASE_CONNECTIONS and HTTP_CONNECTIONS: \
                 raise the hard limit to {needed}, or lower them"
            )));
        }
        Ok(possible)
    }

    fn total(self) -> usize {
        RESERVED_FILES + self.database * FILES_PER_DATABASE_CONNECTION + self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_as_many_as_files_are_left() {
        let files = OpenFiles { database: 10, others: 6 };
        for (limit, possible) in
            [(1_000_000, Some(4096)), (4196, Some(4096)), (4195, Some(4095)), (200, Some(100))]
        {
            assert_eq!(files.possible(4096, limit).ok(), possible, "{limit}");
        }
        for limit in [115, 100, 0] {
            let sentence =
                files.possible(4096, limit).err().map(|failure| failure.to_string()).unwrap_or_default();
            assert!(sentence.contains("raise the hard limit to 4196"), "{sentence}");
        }
        assert_eq!(files.possible(4, 104).ok(), Some(4));
    }
}
