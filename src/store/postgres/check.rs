//! Checks, before anything is written, that this program can work with a PostgreSQL server.

use super::connect::{ConnectError, connect};
use crate::store::{Error, Result, TRANSACTION_TIMEOUT};
use tokio::time::timeout;
use tokio_postgres::{SimpleQueryMessage, config::Config, error::DbError};

/// A custom setting sent at the start of the connection. Connection poolers reject such options or are
/// configured to ignore them, and then they ignore statement timeouts as well.
const PROBE: &str = "-c shakerqueue.probe=on";

/// Query for the properties of the server. The probe is NULL if the option was ignored.
const QUESTION: &str = "SELECT current_database(), current_setting('server_encoding'), \
                        current_setting('shakerqueue.probe', true)";

/// Messages of PgBouncer and of RDS Proxy about startup options.
const POOLERS_REFUSALS: [&str; 2] = ["unsupported startup parameter", "command-line options"];

/// The only encoding that has every character in names and notes. (The connection always uses it.)
const ENCODING: &str = "UTF8";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fitness {
    Fit,
    /// It never will be; contains a sentence that says what to do.
    Unfit(String),
}

/// Checks the server on a new connection.
pub async fn check(config: &Config) -> Result<Fitness> {
    timeout(TRANSACTION_TIMEOUT, ask(config))
        .await
        .unwrap_or(Err(ConnectError::TimedOut))
        .map_err(Error::unavailable)
}

async fn ask(config: &Config) -> Result<Fitness, ConnectError> {
    let (client, _driver) = match connect(config, PROBE, None).await {
        Err(error) if is_pooler(&error) => return Ok(behind_a_pooler()),
        connected => connected?,
    };
    for answer in client.simple_query(QUESTION).await? {
        if let SimpleQueryMessage::Row(row) = answer {
            let word = |column: usize| row.get(column).unwrap_or_default();
            return Ok(judge(word(0), word(1), row.get(2).is_some()));
        }
    }
    Ok(Fitness::Fit)
}

fn judge(name: &str, encoding: &str, is_direct: bool) -> Fitness {
    if !is_direct {
        behind_a_pooler()
    } else if encoding != ENCODING {
        let quoted = name.replace('"', "\"\"");
        Fitness::Unfit(format!(
            "the database {name} must be encoded in {ENCODING}, and is in {encoding}, which lacks characters that guests write: \
             make a new one (CREATE DATABASE \"{quoted}_utf8\" ENCODING '{ENCODING}' TEMPLATE template0 LOCALE 'C'), restore a dump \
             of the old one into it if there is anything in it, and name it in DATABASE_URL"
        ))
    } else {
        Fitness::Fit
    }
}

fn is_pooler(error: &ConnectError) -> bool {
    let ConnectError::Server(error) = error else { return false };
    let said = error.as_db_error().map(DbError::message).unwrap_or_default();
    POOLERS_REFUSALS.iter().any(|words| said.contains(words))
}

fn behind_a_pooler() -> Fitness {
    Fitness::Unfit(
        "DATABASE_URL leads to a connection pooler such as PgBouncer, which is not supported yet: \
         name the host and port of PostgreSQL itself"
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_in_the_statement_that_makes_a_new_database() {
        let Fitness::Unfit(sentence) = judge("a \"bar\"", "WIN1252", true) else {
            unreachable!("it is fit");
        };
        assert!(sentence.contains(r#"CREATE DATABASE "a ""bar""_utf8" ENCODING 'UTF8'"#), "{sentence}");
    }
}
