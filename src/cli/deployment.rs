//! Which servers there are, and what follows from it: the only place that knows.
//!
//! | deployment | `DATABASE_URL` | `AMQP_URL` | processes |
//! |---|---|---|---|
//! | embedded | unset, or `sqlite://PATH` | unset | one `serve` |
//! | one server | `postgres://…` | unset | any number of `serve` |
//! | scaled out | `postgres://…` | `amqp://…` | any number of `serve` and of `work` |

use crate::{
    broker::{Broker, Settings},
    config::{Database, Servers, sqlite_path},
    services::orders::{
        intake::{BrokerFirst, OrderSink, Settlement, StoredOrders},
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

/// The database file when nothing else is said.
const DEFAULT_FILE: &str = "shakerqueue.db";

/// How long it may take to leave them: as long as a connection to the broker may take to open.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The servers of one installation.
pub struct Deployment {
    /// What it is called.
    pub name: &'static str,
    /// Where the data is.
    pub store: Store,
    /// Where orders wait, if not in the same process.
    pub broker: Option<Broker>,
    /// The folder and name that files beside the database begin with, where the database is a file.
    pub file: Option<PathBuf>,
}

/// Why there is no such deployment: a sentence that says what to set.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DeploymentError(String);

impl Deployment {
    /// Chooses by the two URLs. Asks no server yet. Must be called on the runtime that all its work shall run on.
    pub fn choose(servers: &Servers) -> Result<Self, DeploymentError> {
        let database = servers
            .database
            .database_url
            .as_ref()
            .map(ExposeSecret::expose_secret)
            .filter(|url| !url.is_empty());
        let amqp = servers.amqp_url.as_ref().filter(|url| !url.expose_secret().is_empty());
        let scheme = database.map_or("sqlite", |url| url.split_once("://").map_or("", |(scheme, _)| scheme));
        match (scheme, amqp) {
            ("sqlite", None) => {
                let path = database.map(sqlite_file).transpose()?;
                let path = path.unwrap_or_else(|| DEFAULT_FILE.into());
                Self::embedded(&path, &servers.database)
            }
            ("sqlite", Some(_)) => Err(DeploymentError(
                "AMQP_URL needs DATABASE_URL=postgres://USER:PASSWORD@HOST/NAME: workers can't share a SQLite file".into(),
            )),
            ("postgres" | "postgresql", None) => Self::postgres("one server", &servers.database, None),
            ("postgres" | "postgresql", Some(url)) => {
                let management_url = servers.amqp_management_url.clone();
                let settings = Settings::new(url.clone(), servers.queue_prefix.clone());
                let broker = Broker::start(Settings { management_url, ..settings })
                    .map_err(|error| DeploymentError(format!("AMQP_URL: {error}")))?;
                Self::postgres("scaled out", &servers.database, Some(broker))
            }
            _ => Err(DeploymentError("DATABASE_URL must begin with postgres:// or sqlite://".into())),
        }
    }

    /// The database of an installation, for roles that need no more of it.
    pub fn database(database: Database) -> Result<Self, DeploymentError> {
        Self::choose(&Servers {
            database,
            amqp_url: None,
            queue_prefix: String::new(),
            amqp_management_url: None,
            retry_seconds: Vec::new(),
        })
    }

    fn embedded(path: &Path, database: &Database) -> Result<Self, DeploymentError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(DeploymentError(format!(
                "the folder {} of the SQLite database does not exist",
                folder.display()
            )));
        }
        // It holds addresses and password hashes: for its owner only. (What SQLite puts beside it takes its mode over.) If this
        // fails, opening it says why.
        let _ = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let store = Store::sqlite(path, database.database_connections)
            .map_err(|error| DeploymentError(error.to_string()))?;
        Ok(Self { name: "embedded", store, broker: None, file: Some(path.to_owned()) })
    }

    fn postgres(
        name: &'static str,
        database: &Database,
        broker: Option<Broker>,
    ) -> Result<Self, DeploymentError> {
        let none = SecretString::default();
        let url = database.database_url.as_ref().unwrap_or(&none);
        let store = Store::postgres(url, database.database_connections)
            .map_err(|error| DeploymentError(format!("DATABASE_URL {error}")))?;
        Ok(Self { name, store, broker, file: None })
    }

    /// Leaves the servers again, where nothing has begun.
    pub async fn leave(&self) {
        if let Some(broker) = &self.broker {
            broker.close(CLOSE_TIMEOUT).await;
        }
        self.store.close();
    }

    /// Makes the place where `serve` puts accepted orders.
    pub fn sink(&self, recorder: Recorder) -> OrderSink {
        match &self.broker {
            Some(broker) => {
                broker.watch_safety();
                let stored = Arc::new(StoredOrders::new(self.store.clone()));
                OrderSink::BrokerFirst(BrokerFirst { publisher: broker.publisher(), recorder, stored })
            }
            None => OrderSink::Direct(recorder),
        }
    }

    /// What tells whether an accepted order may still be on its way to the database.
    pub fn settlement(&self) -> Settlement {
        match &self.broker {
            Some(_) => Settlement::unknown(),
            // What is accepted is stored.
            None => Settlement::complete(),
        }
    }

    /// The broker that `work` takes orders from.
    pub fn need_broker(&self) -> Result<&Broker, DeploymentError> {
        self.broker.as_ref().ok_or_else(|| {
            DeploymentError("work needs AMQP_URL=amqp://USER:PASSWORD@HOST:5672/VHOST: without a broker each serve records its own orders".into())
        })
    }

    /// Makes sure that the database is a server's, which has roles.
    pub fn need_roles(&self) -> Result<(), DeploymentError> {
        if self.file.is_some() {
            return Err(DeploymentError(
                "--app-role needs DATABASE_URL=postgres://USER:PASSWORD@HOST/NAME: a SQLite file has no roles".into(),
            ));
        }
        Ok(())
    }

    /// Whether the database migrates itself when it is opened.
    pub fn migrates_itself(&self) -> bool {
        self.file.is_some()
    }
}

/// Returns the file that a `sqlite://` URL names.
fn sqlite_file(url: &str) -> Result<PathBuf, DeploymentError> {
    let (written, path) =
        sqlite_path(url).map_err(|error| DeploymentError(format!("DATABASE_URL {error}")))?;
    // The URL may be older than its decoding: no second database shall be begun beside the one that is in use.
    if written != path && written.exists() && !path.exists() {
        return Err(DeploymentError(format!(
            "DATABASE_URL names the file {}, but there is a file {}: rename it, or write each % of its name as %25",
            path.display(),
            written.display()
        )));
    }
    Ok(path)
}
