//! Migrates a database to the schema of this version, or compares the two.

pub mod app_role;
pub mod append_only_triggers;
pub mod recipe_keys;

use super::{Conn, Error, PgConn, Pools, Result, Store, blocking, connections::connect::pg_pool, on};
use diesel::migration::{Migration, MigrationSource};
use diesel::{connection::SimpleConnection, prelude::*, result::DatabaseErrorKind, sql_types::Bool};
use diesel_async::{
    AsyncMigrationHarness, RunQueryDsl, SimpleAsyncConnection, pooled_connection::deadpool::Object,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use recipe_keys::KeyCollision;
use std::{collections::BTreeSet, fmt::Display, time::Duration};
use tokio::{task::spawn_blocking, time::Instant};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// PostgreSQL advisory lock ("shaker" in ASCII): concurrent migrations run one after the other.
const LOCK: i64 = 0x0073_6861_6b65_7200;

/// Session options for changing the schema, which may take long.
const SESSION_OPTIONS: &str = "-c statement_timeout=0 -c lock_timeout=60000";

/// Time that a server has to accept the connection that changes the schema: as long as a role waits for its
/// database at start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Autovacuum settings of the orders table, unless an operator has chosen others. Each claim leaves a dead
/// index entry at the front of the working order, which every later claim has to step over. By default
/// vacuuming waits until a fifth of the table is dead, and on a large table it skips the indexes even then.
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

#[derive(Debug, PartialEq, Eq)]
pub enum Schema {
    Current,
    Behind,
    /// It has migrations that this version does not know.
    Ahead,
}

impl Store {
    /// Runs the missing migrations. Safe to repeat, and to run from several processes at once.
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
                // One transaction that takes the write lock first: a second process finds everything done.
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
                "two recipes on the menu have equal names, {first:?} and {second:?}: the second can be ordered by its id only; rename it"
            );
        }
        Ok(())
    }

    /// Compares the schema of the database with that of this version.
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

    /// Opens a PostgreSQL connection for changing the schema, one process at a time: closing it admits the
    /// next. Its time limits are longer than those of requests, and it may be the only connection that the
    /// server grants this process.
    pub(super) async fn schema_conn(&self) -> Result<Object<PgConn>> {
        let Pools::Pg(_, config) = &self.pools else {
            return Err(Error::unavailable("a SQLite file has no schema connection"));
        };
        self.close_idle_connections();
        // The pool ends with this function, so that the connection is closed, not reused, when it is dropped.
        let pool = pg_pool(config, SESSION_OPTIONS, &self.liveness, 1)?;
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
    // Diesel's own harness would create the table, which a role that only checks must not do.
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
