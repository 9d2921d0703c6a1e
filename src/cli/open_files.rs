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
/// The divisor that gives streams their share where there are not enough files for all connections.
const STREAM_SHARE: usize = 4;

/// Files that a process needs beside those of its clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenFiles {
    pub(super) database: usize,
    /// Threads of the server, and connections to the admin server.
    pub(super) others: usize,
}

/// Clients at a time, each of which takes a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ClientFiles {
    /// Connections without those that carry a stream.
    pub(super) connections: usize,
    pub(super) streams: usize,
}

impl OpenFiles {
    /// Raises the limit of open files to suit this number of client connections. Returns the number that is possible: where the
    /// system allows fewer files it is lower, and the log says so.
    pub(super) fn allow(self, wanted: ClientFiles) -> Result<ClientFiles, CliError> {
        let needed = self.needed(wanted);
        let limit = increase_nofile_limit(needed as u64)
            .map_err(|error| CliError::new(format!("failed to raise the limit of open files: {error}")))?;
        let possible = self.possible(wanted, usize::try_from(limit).unwrap_or(usize::MAX))?;
        let lowered: Vec<_> = [
            ("HTTP_CONNECTIONS", wanted.connections, possible.connections),
            ("STREAMS", wanted.streams, possible.streams),
        ]
        .into_iter()
        .filter(|(_, wanted, possible)| possible < wanted)
        .map(|(name, wanted, possible)| format!("{name} is lowered from {wanted} to {possible}"))
        .collect();
        if !lowered.is_empty() {
            tracing::warn!(
                limit,
                "{}: the system allows {limit} open files (ulimit -n), of which {} are for other things; raise the hard limit to \
                 {needed}",
                lowered.join(", "),
                self.total(),
            );
        }
        Ok(possible)
    }

    fn possible(self, wanted: ClientFiles, limit: usize) -> Result<ClientFiles, CliError> {
        let left = limit.saturating_sub(self.total());
        let connections = wanted.connections.min(left - wanted.streams.min(left / STREAM_SHARE));
        let streams = wanted.streams.min(left - connections);
        if limit < self.total() || connections < wanted.connections.min(MIN_CONNECTIONS) {
            let needed = self.needed(wanted);
            return Err(CliError::new(format!(
                "the system allows {limit} open files (ulimit -n), too few for DATABASE_CONNECTIONS, HTTP_CONNECTIONS and STREAMS: \
                 raise the hard limit to {needed}, or lower them"
            )));
        }
        Ok(ClientFiles { connections, streams })
    }

    fn needed(self, ClientFiles { connections, streams }: ClientFiles) -> usize {
        self.total() + connections + streams
    }

    fn total(self) -> usize {
        RESERVED_FILES + self.database * FILES_PER_DATABASE_CONNECTION + self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: OpenFiles = OpenFiles { database: 10, others: 6 };

    fn possible(connections: usize, streams: usize, limit: usize) -> Option<(usize, usize)> {
        let possible = FILES.possible(ClientFiles { connections, streams }, limit).ok();
        possible.map(|ClientFiles { connections, streams }| (connections, streams))
    }

    #[test]
    fn connections_are_as_many_as_files_are_left_and_streams_have_a_quarter_at_least() {
        for (limit, expected) in [
            (1_000_000, (4096, 10_000)),
            (14_196, (4096, 10_000)),
            (14_195, (4096, 9999)),
            (8192, (4096, 3996)),
            (4196, (3072, 1024)),
            (200, (75, 25)),
        ] {
            assert_eq!(possible(4096, 10_000, limit), Some(expected), "{limit}");
        }
        assert_eq!(possible(4096, 1, 200), Some((99, 1)));
        assert_eq!(possible(4, 0, 104), Some((4, 0)));
    }

    #[test]
    fn too_few_files_are_refused_with_the_number_that_is_needed() {
        let wanted = ClientFiles { connections: 4096, streams: 10_000 };
        for limit in [115, 100, 0] {
            let sentence =
                FILES.possible(wanted, limit).err().map(|failure| failure.to_string()).unwrap_or_default();
            assert!(sentence.contains("raise the hard limit to 14196"), "{sentence}");
        }
    }
}
