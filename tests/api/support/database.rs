//! A database for each test.

use diesel_async::SimpleAsyncConnection;
use secrecy::SecretString;
use shakerqueue::store::{Conn, Store, migrations::app_role::RoleName};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

/// Password of the roles that are named as their database.
pub const APP_PASSWORD: &str = "letters, digits & more";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    Sqlite,
    PostgreSql,
}

/// Trigger in PostgreSQL that fails on each order with the note `poison`. The error has no kind, so it may be transient.
pub const FAULT_TRIGGER: &str = "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.note = 'poison' THEN RAISE EXCEPTION 'fault'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER fault BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION fault()";

/// A database that is dropped with its owner.
pub struct Database {
    /// URL with the role that owns and migrates it.
    pub url: String,
    /// URL for `serve` and `work`: after the migration, PostgreSQL's has a role that may only read and write rows.
    pub app_url: String,
    _file: Option<TempDir>,
    server: Option<DroppedDatabase>,
}

impl Database {
    pub async fn new(kind: DatabaseKind) -> Self {
        match kind {
            DatabaseKind::Sqlite => Self::file(),
            DatabaseKind::PostgreSql => {
                let mut database = Self::empty().await;
                let store = database.store();
                store.migrate().await.expect("migrations");
                let role: RoleName = database.name().parse().expect("a name");
                store.grant_app_role(&role, &APP_PASSWORD.into()).await.expect("a role");
                store.close();
                database.app_url = database.url_as(database.name());
                database
            }
        }
    }

    /// Returns a SQLite database whose file does not exist yet.
    pub fn file() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let url = format!("sqlite://{}", folder.path().join("bar.db").display());
        Self { app_url: url.clone(), url, _file: Some(folder), server: None }
    }

    /// Creates a PostgreSQL database without tables.
    pub async fn empty() -> Self {
        let database = Self::reserved();
        let statement = format!("CREATE DATABASE {}", database.name());
        admin().await.batch_execute(&statement).await.expect("CREATE DATABASE");
        database
    }

    /// Creates a PostgreSQL database in this encoding, without tables.
    pub async fn encoded(encoding: &str) -> Self {
        let database = Self::reserved();
        let name = database.name();
        let statement = format!("CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'");
        admin().await.batch_execute(&statement).await.expect("CREATE DATABASE");
        database
    }

    /// Reserves the name of a PostgreSQL database that the test creates.
    pub fn reserved() -> Self {
        Self::named(&format!("bar_{}", Uuid::new_v4().simple()))
    }

    /// Returns the PostgreSQL database of this name, which need not exist yet.
    pub fn named(name: &str) -> Self {
        let url = url_of(name);
        Self { app_url: url.clone(), url, _file: None, server: Some(DroppedDatabase(name.to_owned())) }
    }

    /// Returns the URL for this role, which has the tests' password.
    pub fn url_as(&self, role: &str) -> String {
        let mut url = url::Url::parse(&self.url).expect("a URL");
        url.set_username(role).and_then(|()| url.set_password(Some(APP_PASSWORD))).expect("an account");
        url.into()
    }

    /// Returns a database that something else drops.
    pub fn at(url: String) -> Self {
        Self { app_url: url.clone(), url, _file: None, server: None }
    }

    /// Returns a copy that does not drop the database.
    pub fn lent(&self) -> Self {
        Self { app_url: self.app_url.clone(), ..Self::at(self.url.clone()) }
    }

    /// Opens the product's store on the database.
    pub fn store(&self) -> Store {
        self.store_of(if self.server.is_some() { 8 } else { 4 })
    }

    pub fn store_of(&self, connections: usize) -> Store {
        match self.url.strip_prefix("sqlite://") {
            Some(path) => Store::sqlite(path.as_ref(), connections).expect("a store"),
            None => Store::postgres(&SecretString::from(self.url.as_str()), connections).expect("a store"),
        }
    }

    pub async fn execute(&self, statements: &str) {
        let (store, statements) = (self.store(), statements.to_owned());
        let executed = store.write(async move |conn| {
            match conn {
                Conn::Pg(conn) => conn.batch_execute(&statements).await?,
                Conn::Sqlite(conn) => conn.batch_execute(&statements).await?,
            }
            Ok(())
        });
        executed.await.expect("executed");
        store.close();
    }

    pub fn name(&self) -> &str {
        &self.server.as_ref().expect("a database on a server").0
    }

    /// Closes all connections to a PostgreSQL database and refuses new ones.
    pub async fn take_down(&self) {
        let name = self.name();
        let statements = format!(
            "ALTER DATABASE {name} ALLOW_CONNECTIONS false;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        admin().await.batch_execute(&statements).await.expect("ALTER DATABASE");
    }

    pub async fn bring_back(&self) {
        let name = self.name();
        let statement = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true");
        admin().await.batch_execute(&statement).await.expect("ALTER DATABASE");
    }

    /// Limits the sessions of the role that is named as the database; -1 is no limit. Ends its existing sessions.
    pub async fn limit_sessions(&self, limit: i32) {
        let name = self.name();
        let statements = format!(
            "ALTER ROLE {name} CONNECTION LIMIT {limit};
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'"
        );
        admin().await.batch_execute(&statements).await.expect("ALTER ROLE");
    }

    /// Makes a PostgreSQL database read-only, as a standby is, or writable again. Closes its connections.
    pub async fn make_read_only(&self, read_only: bool) {
        let name = self.name();
        let statements = format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = {read_only};
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        admin().await.batch_execute(&statements).await.expect("ALTER DATABASE");
    }

    /// Counts rows in PostgreSQL. `rows` is such as `orders WHERE …`.
    pub async fn count(&self, rows: &str) -> i64 {
        self.client()
            .await
            .query_one(&format!("SELECT count(*) FROM {rows}"), &[])
            .await
            .expect("a count")
            .get(0)
    }

    /// Opens a connection to a PostgreSQL database.
    pub async fn client(&self) -> Client {
        connect(&self.url).await
    }
}

/// Returns the server's URL with this database.
fn url_of(name: &str) -> String {
    let mut url = url::Url::parse(&server_url()).expect("TEST_DATABASE_URL is a URL");
    url.set_path(name);
    url.into()
}

fn server_url() -> String {
    std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL names a PostgreSQL server; `make test` provides one")
}

async fn admin() -> Client {
    connect(&server_url()).await
}

async fn connect(url: &str) -> Client {
    let config: Config = url.parse().expect("a URL");
    let (client, connection) = config.connect(NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

/// Drops its database, even if the test failed.
struct DroppedDatabase(String);

impl Drop for DroppedDatabase {
    fn drop(&mut self) {
        let name = self.0.clone();
        // The test's own runtime may be ending.
        let dropping = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let _ = admin()
                    .await
                    .batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                    .await;
                let _ =
                    admin().await.batch_execute(&format!("DROP ROLE IF EXISTS {name}, {name}_owner")).await;
            });
        });
        let _ = dropping.join();
    }
}
