//! The deployment: its database and its broker. No other module asks which servers there are.
//!
//! | deployment | `DATABASE_URL` | `AMQP_URL` | processes |
//! |---|---|---|---|
//! | embedded | unset, or `sqlite://PATH` | unset | one `serve` |
//! | one server | `postgres://…` | unset | any number of `serve` |
//! | scaled out | `postgres://…` | `amqp://…` | any number of `serve` and `work` |

use super::error::CliError;
use crate::{
    broker::{Broker, Settings},
    config::{DatabaseArgs, ServerArgs, sqlite_path},
    services::orders::{
        intake::{BrokerSink, OrderSink, Settlement, StoredOrders},
        recorder::Recorder,
    },
    store::Store,
};
use secrecy::{ExposeSecret, SecretString};
use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const DEFAULT_DATABASE_FILE: &str = "shakerqueue.db";

/// As long as a connection to the broker may take to open.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) struct Deployment {
    pub(super) name: &'static str,
    pub(super) store: Store,
    /// Unset where each `serve` records its own orders.
    pub(super) broker: Option<Broker>,
    /// The database's file (SQLite). Names of files beside it begin with its name.
    pub(super) file: Option<PathBuf>,
}

impl Deployment {
    /// Chooses by the two URLs, without connecting. All work of the broker runs on the runtime that this is called on.
    pub(super) fn choose(servers: &ServerArgs) -> Result<Self, CliError> {
        let database = servers.database.database_url.as_ref().map(ExposeSecret::expose_secret);
        let database = database.filter(|url| !url.is_empty());
        let amqp = servers.amqp_url.as_ref().filter(|url| !url.expose_secret().is_empty());
        let scheme = database.map_or("sqlite", |url| url.split_once("://").map_or("", |(scheme, _)| scheme));
        match (scheme, amqp) {
            ("sqlite", None) => {
                let path = database.map(sqlite_file).transpose()?;
                let path = path.unwrap_or_else(|| DEFAULT_DATABASE_FILE.into());
                Self::embedded(&path, &servers.database)
            }
            ("sqlite", Some(_)) => Err(CliError::new(
                "AMQP_URL needs DATABASE_URL=postgres://USER:PASSWORD@HOST/NAME: workers can't share a SQLite file",
            )),
            ("postgres" | "postgresql", None) => Self::postgres("one server", &servers.database, None),
            ("postgres" | "postgresql", Some(url)) => {
                let management_url = servers.amqp_management_url.clone();
                let settings = Settings::new(url.clone(), servers.queue_prefix.clone());
                let broker = Broker::start(Settings { management_url, ..settings })
                    .map_err(|error| CliError::new(format!("AMQP_URL: {error}")))?;
                Self::postgres("scaled out", &servers.database, Some(broker))
            }
            _ => Err(CliError::new("DATABASE_URL must begin with postgres:// or sqlite://")),
        }
    }

    /// Returns a deployment without its broker, for commands that need only the database.
    pub(super) fn database(database: DatabaseArgs) -> Result<Self, CliError> {
        Self::choose(&ServerArgs {
            database,
            amqp_url: None,
            queue_prefix: String::new(),
            amqp_management_url: None,
            retry_seconds: Vec::new(),
        })
    }

    fn embedded(path: &Path, database: &DatabaseArgs) -> Result<Self, CliError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(CliError::new(format!(
                "the folder {} of the SQLite database does not exist",
                folder.display()
            )));
        }
        // The file holds email addresses and password hashes: only its owner may read it, and SQLite gives the files beside it the
        // same mode. If this fails, opening the file tells why.
        let _ = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let store = Store::sqlite(path, database.database_connections)?;
        Ok(Self { name: "embedded", store, broker: None, file: Some(path.to_owned()) })
    }

    fn postgres(
        name: &'static str,
        database: &DatabaseArgs,
        broker: Option<Broker>,
    ) -> Result<Self, CliError> {
        let none = SecretString::default();
        let url = database.database_url.as_ref().unwrap_or(&none);
        let store = Store::postgres(url, database.database_connections)
            .map_err(|error| CliError::new(format!("DATABASE_URL {error}")))?;
        Ok(Self { name, store, broker, file: None })
    }

    /// Closes the connections of a command that has not begun.
    pub(super) async fn leave(&self) {
        if let Some(broker) = &self.broker {
            broker.close(CLOSE_TIMEOUT).await;
        }
        self.store.close();
    }

    /// Returns the place where `serve` puts accepted orders.
    pub(super) fn sink(&self, recorder: Recorder) -> OrderSink {
        let broker = self.broker.as_ref().map(|broker| {
            broker.watch_safety();
            let stored = Arc::new(StoredOrders::new(self.store.clone()));
            BrokerSink { publisher: broker.publisher(), stored }
        });
        OrderSink { broker, recorder }
    }

    /// Returns what tells whether accepted orders may still be on their way to the database.
    pub(super) fn settlement(&self) -> Settlement {
        match &self.broker {
            Some(_) => Settlement::unknown(),
            // Without a broker an order is recorded before it is accepted.
            None => Settlement::complete(),
        }
    }

    pub(super) fn need_broker(&self) -> Result<&Broker, CliError> {
        self.broker.as_ref().ok_or_else(|| {
            CliError::new("work needs AMQP_URL=amqp://USER:PASSWORD@HOST:5672/VHOST: without a broker each serve records its own orders")
        })
    }

    /// Checks that the database has roles: a SQLite file has none.
    pub(super) fn need_roles(&self) -> Result<(), CliError> {
        if self.file.is_some() {
            return Err(CliError::new(
                "--app-role needs DATABASE_URL=postgres://USER:PASSWORD@HOST/NAME: a SQLite file has no roles",
            ));
        }
        Ok(())
    }

    /// Returns whether the database is migrated whenever it is opened.
    pub(super) fn migrates_itself(&self) -> bool {
        self.file.is_some()
    }
}

fn sqlite_file(url: &str) -> Result<PathBuf, CliError> {
    let (written, path) = sqlite_path(url).map_err(|error| CliError::new(format!("DATABASE_URL {error}")))?;
    // Versions before did not decode the URL: no second database must be created beside the one in use.
    if written != path && written.exists() && !path.exists() {
        return Err(CliError::new(format!(
            "DATABASE_URL names the file {}, but there is a file {}: rename it, or write each % of its name as %25",
            path.display(),
            written.display()
        )));
    }
    Ok(path)
}
