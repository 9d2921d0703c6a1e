//! Brings a database to the schema that this version needs, or says how far it is from it.

pub mod app_role;
pub mod append_only_triggers;
pub mod recipe_keys;

use super::{Conn, Error, PgConn, Pools, Result, Store, blocking, connections::connect::pg_pool, on};
use diesel::migration::{Migration, MigrationSource};
use diesel::{
    QueryDsl, QueryableByName, connection::SimpleConnection, result::DatabaseErrorKind, sql_types::Bool,
};
use diesel_async::{
    AsyncMigrationHarness, RunQueryDsl, SimpleAsyncConnection, pooled_connection::deadpool::Object,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use recipe_keys::KeyCollision;
use std::{collections::BTreeSet, fmt::Display, time::Duration};
use tokio::{task::spawn_blocking, time::Instant};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// PostgreSQL's advisory lock for migrating: two that migrate at once go one after the other. ("shaker" in ASCII.)
const LOCK: i64 = 0x0073_6861_6b65_7200;

/// The limits of changing the schema, which may take long.
const SESSION_OPTIONS: &str = "-c statement_timeout=0 -c lock_timeout=60000";

/// The time that a server has to let in who changes the schema: as long as a role waits for its database at start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How PostgreSQL cleans up behind moved orders, unless an operator has chosen. Each claim leaves a dead entry at the front of the
/// working order, where every later claim steps over it. By default that waits for a fifth of the table to be dead, and where it
/// is large even vacuuming leaves the indexes alone.
const CLEANING: &str = "DO $$ BEGIN
    IF (SELECT reloptions IS NULL FROM pg_class WHERE oid = 'orders'::regclass) THEN
        ALTER TABLE orders SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
                                vacuum_index_cleanup = on);
    END IF;
END $$";

mod ledger {
    diesel::table! {
        __diesel_schema_migrations (version) {
            version -> Text,
            run_on -> Timestamp,
        }
    }
}
use ledger::__diesel_schema_migrations;

/// How a database's schema relates to this version's.
#[derive(Debug, PartialEq, Eq)]
pub enum Schema {
    /// As it must be.
    Current,
    /// Older: migrations are missing.
    Behind,
    /// Newer: it has migrations that this version does not know.
    Ahead,
}

impl Store {
    /// Runs the migrations that are missing. Safe to repeat, and safe to run from several processes at once.
    pub async fn migrate(&self) -> Result<()> {
        let collisions = match &self.pools {
            Pools::Pg(..) => {
                // The harness blocks its thread.
                let mut harness = AsyncMigrationHarness::new(self.schema_conn().await?);
                let migrated = spawn_blocking(move || {
                    harness.run_pending_migrations(MIGRATIONS).map_err(|error| failure(&error))?;
                    Ok::<_, Error>(harness.into_inner())
                });
                let mut conn = migrated.await.map_err(Error::unavailable)??;
                conn.batch_execute(append_only_triggers::POSTGRES).await?;
                conn.batch_execute(CLEANING).await?;
                Conn::Pg(conn).transaction(async |conn| recipe_keys::refresh(conn).await).await??
            }
            Pools::Sqlite(pool, _) => {
                // All in one transaction that takes the write lock first: whoever comes second finds it done.
                let mut conn = pool.get().await?;
                let migrated = blocking(async move {
                    conn.spawn_blocking(|conn| {
                        conn.immediate_transaction(|conn| {
                            conn.run_pending_migrations(MIGRATIONS).map_err(|error| failure(&error))?;
                            conn.batch_execute(append_only_triggers::SQLITE)
                        })
                    })
                    .await
                });
                migrated.await??;
                self.write(async |conn| recipe_keys::refresh(conn).await).await?
            }
        };
        for KeyCollision { first, second } in collisions {
            tracing::warn!(
                "two drinks on the menu have one name, {first:?} and {second:?}: the second can only be ordered by its id; rename it"
            );
        }
        Ok(())
    }

    /// Compares the database's schema with this version's.
    pub async fn schema(&self) -> Result<Schema> {
        let applied = self.read(async |conn| applied(conn).await).await?;
        let known: BTreeSet<String> = MigrationSource::<diesel::pg::Pg>::migrations(&MIGRATIONS)
            .map_err(|error| Error::unavailable(error.to_string()))?
            .iter()
            .map(|migration| migration.name().version().to_string())
            .collect();
        Ok(if !applied.is_subset(&known) {
            Schema::Ahead
        } else if applied.len() < known.len() {
            Schema::Behind
        } else {
            Schema::Current
        })
    }

    /// Opens a connection to PostgreSQL for changing the schema, of one process at a time: closing it lets in the next. It has limits
    /// of its own, for migrations may take longer than any statement of a request, and it may be the only one that the server
    /// lets this process have.
    pub(super) async fn schema_conn(&self) -> Result<Object<PgConn>> {
        let Pools::Pg(_, config) = &self.pools else {
            return Err(Error::unavailable("a SQLite file has no such connections"));
        };
        self.close_idle_connections();
        // The pool ends with this function, so that nobody else is given the connection: it is closed once it is dropped.
        let pool = pg_pool(config, SESSION_OPTIONS, &self.pulse, 1)?;
        let mut conn = self.pg_conn(&pool, Instant::now() + CONNECT_TIMEOUT).await?;
        conn.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})")).await?;
        Ok(conn)
    }
}

fn failure(error: &dyn Display) -> diesel::result::Error {
    diesel::result::Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(error.to_string()))
}

async fn applied(conn: &mut Conn) -> Result<BTreeSet<String>> {
    #[derive(QueryableByName)]
    struct Known {
        #[diesel(sql_type = Bool)]
        known: bool,
    }
    // A role that only looks must not make the table, as Diesel's own harness would.
    let table = match conn {
        Conn::Pg(_) => "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS known",
        Conn::Sqlite(_) => {
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '__diesel_schema_migrations') AS known"
        }
    };
    let table: Known = on!(conn, c => diesel::sql_query(table).get_result(c))?;
    if !table.known {
        return Ok(BTreeSet::new());
    }
    let versions: Vec<String> = on!(conn, c => __diesel_schema_migrations::table.select(__diesel_schema_migrations::version).load(c))?;
    Ok(versions.into_iter().collect())
}
