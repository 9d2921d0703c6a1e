//! `sqlite://` URLs.

use percent_encoding::percent_decode_str;
use std::path::PathBuf;

const PREFIX: &str = "sqlite://";

/// Readable after `DATABASE_URL`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqliteUrlError {
    #[error("needs a path, as in sqlite://bar.db or sqlite:///var/lib/bar.db")]
    NoPath,
    #[error("must name a file: a database in memory keeps nothing")]
    Memory,
    #[error(
        "has the parameter {0:?}, but sqlite:// takes none: name the file only (a ? in its path is written %3F)"
    )]
    Parameter(String),
    /// It is not a path once it is decoded.
    #[error("must be UTF-8 without null bytes once it is percent-decoded")]
    NotText,
}

/// Returns the path in a `sqlite://` URL as it is written, and percent-decoded. A `%` without two hexadecimal digits stands for
/// itself.
pub fn sqlite_path(url: &str) -> Result<(PathBuf, PathBuf), SqliteUrlError> {
    let written = url.strip_prefix(PREFIX).unwrap_or(url);
    if let Some((_, parameters)) = written.split_once('?') {
        let name = parameters.split(['=', '&']).next().unwrap_or_default();
        return Err(SqliteUrlError::Parameter(name.chars().take(40).collect()));
    }
    let decoded = percent_decode_str(written).decode_utf8().map_err(|_| SqliteUrlError::NotText)?;
    match decoded.as_ref() {
        "" => Err(SqliteUrlError::NoPath),
        ":memory:" => Err(SqliteUrlError::Memory),
        path if path.contains('\0') => Err(SqliteUrlError::NotText),
        path => Ok((PathBuf::from(written), PathBuf::from(path))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(url: &str) -> Result<String, SqliteUrlError> {
        sqlite_path(url).map(|(_, decoded)| decoded.to_string_lossy().into_owned())
    }

    #[test]
    fn a_path_is_percent_decoded() {
        for (url, expected) in [
            ("sqlite://bar.db", "bar.db"),
            ("sqlite:///var/lib/bar.db", "/var/lib/bar.db"),
            ("sqlite:///var/lib/my%20bar/bar.db", "/var/lib/my bar/bar.db"),
            ("sqlite://caf%C3%A9.db", "café.db"),
            ("sqlite://café.db", "café.db"),
            ("sqlite://what%3F%23.db", "what?#.db"),
            ("sqlite://100%25.db", "100%.db"),
            ("sqlite://100%.db", "100%.db"),
            ("sqlite://a+b.db", "a+b.db"),
        ] {
            assert_eq!(path(url).as_deref(), Ok(expected), "{url}");
        }
        let both = sqlite_path("sqlite://my%20bar.db");
        assert_eq!(both, Ok((PathBuf::from("my%20bar.db"), PathBuf::from("my bar.db"))));
    }

    #[test]
    fn what_names_no_file_is_refused_with_the_reason() {
        use SqliteUrlError::{Memory, NoPath, NotText, Parameter};
        for (url, expected) in [
            ("sqlite://", NoPath),
            ("sqlite://:memory:", Memory),
            ("sqlite://%3Amemory%3A", Memory),
            ("sqlite://bar.db?mode=ro", Parameter("mode".into())),
            ("sqlite://bar.db?cache=shared&mode=ro", Parameter("cache".into())),
            ("sqlite://bar.db?nolock&mode=ro", Parameter("nolock".into())),
            ("sqlite://bar.db?", Parameter(String::new())),
            (&format!("sqlite://bar.db?{}=1", "x".repeat(1000)), Parameter("x".repeat(40))),
            ("sqlite://bar%00.db", NotText),
            ("sqlite://bar%FF.db", NotText),
        ] {
            assert_eq!(path(url), Err(expected), "{url}");
        }
    }
}
