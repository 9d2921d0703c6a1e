//! The limit of open files (`RLIMIT_NOFILE`): a connection of a client is one, and the usual limit of 1024 is not enough for
//! as many clients as a `serve` takes by default.

use super::error::CliError;
use rlimit::increase_nofile_limit;

/// Files that are open beside those that are counted: the log, listeners, the broker, name resolution, certificates, threads'
/// event queues and connections on the way from one state to the next.
const RESERVE: usize = 64;
/// Files of a connection to the database: SQLite's has the database, its log and its index.
const FILES_PER_DATABASE_CONNECTION: usize = 3;
/// Fewer connections of clients make no `serve`.
const MIN_CONNECTIONS: usize = 16;

/// What a process needs files for.
#[derive(Debug, Clone, Copy)]
pub struct Files {
    /// Connections to the database.
    pub database: usize,
    /// Threads that answer, and connections of those who watch.
    pub others: usize,
}

impl Files {
    /// Raises the limit to what is needed for so many connections of clients. Says how many there can be: fewer, with a line
    /// in the log, where the system does not allow so many files.
    pub fn allow(self, connections: usize) -> Result<usize, CliError> {
        let limit = increase_nofile_limit((self.beside() + connections) as u64)
            .map_err(|error| CliError::new(format!("failed to raise the limit of open files: {error}")))?;
        let fit = self.fit(connections, usize::try_from(limit).unwrap_or(usize::MAX))?;
        if fit < connections {
            tracing::warn!(
                limit,
                "HTTP_CONNECTIONS is lowered from {connections} to {fit}: the system allows {limit} open files \
                 (ulimit -n), of which {} are for other things; raise the hard limit to {}",
                self.beside(),
                self.beside() + connections,
            );
        }
        Ok(fit)
    }

    /// How many of these connections fit.
    fn fit(self, connections: usize, limit: usize) -> Result<usize, CliError> {
        let fit = connections.min(limit.saturating_sub(self.beside()));
        if limit < self.beside() || fit < connections.min(MIN_CONNECTIONS) {
            let needed = self.beside() + connections;
            return Err(CliError::new(format!(
                "the system allows {limit} open files (ulimit -n), too few for DATABASE_CONNECTIONS and HTTP_CONNECTIONS: \
                 raise the hard limit to {needed}, or lower them"
            )));
        }
        Ok(fit)
    }

    fn beside(self) -> usize {
        RESERVE + self.database * FILES_PER_DATABASE_CONNECTION + self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_as_many_as_files_are_left() {
        let files = Files { database: 10, others: 6 };
        for (limit, fit) in
            [(1_000_000, Some(4096)), (4196, Some(4096)), (4195, Some(4095)), (200, Some(100))]
        {
            assert_eq!(files.fit(4096, limit).ok(), fit, "{limit}");
        }
        for limit in [115, 100, 0] {
            let sentence =
                files.fit(4096, limit).err().map(|failure| failure.to_string()).unwrap_or_default();
            assert!(sentence.contains("raise the hard limit to 4196"), "{sentence}");
        }
        // Who wants fewer gets fewer.
        assert_eq!(files.fit(4, 104).ok(), Some(4));
    }
}
