//! Migrates a database to the schema of this version, or compares the two.

pub mod app_role;
pub mod append_only_triggers;
pub mod recipe_keys;
mod sqlite_texts;

use super::{
    Conn, Error, PgConn, Pools, Result, Store, blocking, connections::connect::pg_pool, on, settings,
};
use crate::util::backoff::Backoff;
use diesel::migration::{Migration, MigrationSource};
use diesel::{
    connection::SimpleConnection,
    prelude::*,
    result::DatabaseErrorKind,
    sql_types::{Bool, Text},
};
use diesel_async::{
    AsyncMigrationHarness, RunQueryDsl, SimpleAsyncConnection, pooled_connection::deadpool::Object,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use recipe_keys::KeyCollision;
use sqlite_texts::SqliteMigrations;
use std::{collections::BTreeSet, fmt::Display, time::Duration};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// PostgreSQL advisory lock ("shaker" in ASCII): concurrent migrations run one after the other.
const LOCK: i64 = 0x0073_6861_6b65_7200;

/// Longest wait for another process that changes the schema. Building an index of a large table takes minutes.
const LOCK_TIMEOUT: Duration = Duration::from_secs(600);
const LOCK_BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

/// Indexes of ours that can't be used, because building them was interrupted. Not those of constraints, and
/// not those that somebody is building now.
const INVALID_INDEXES: &str = "
    SELECT indexrelid::regclass::text AS name FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE NOT indisvalid AND relnamespace = to_regnamespace(quote_ident(current_schema()))
        AND pg_get_userbyid(relowner) = current_user
        AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)
        AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index AS progress
            WHERE progress.index_relid = indexrelid)";

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
    /// It has migrations that this program does not know, and this program still works with it.
    Ahead,
    /// It has migrations that this program does not know, and one of them removed what this program needs.
    Incompatible,
}

/// Setting with the version of the latest migration that programs without it can't work with.
const COMPATIBLE_SINCE: &str = "compatible_since";

impl Store {
    /// Runs the missing migrations. Safe to repeat, and to run from several processes at once.
    pub async fn migrate(&self) -> Result<()> {
        let collisions = match &self.pools {
            Pools::Pg(..) => {
                let mut conn = self.schema_conn().await?;
                drop_invalid_indexes(&mut conn).await?;
                // The harness blocks its thread.
                let mut harness = AsyncMigrationHarness::new(conn);
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
                            conn.run_pending_migrations(SqliteMigrations).map_err(|error| failure(&error))?;
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
        let read = self.read(async |conn| {
            let applied = applied(conn).await?;
            let has_settings = !applied.is_empty();
            let since = if has_settings { settings::get(conn, COMPATIBLE_SINCE).await? } else { None };
            Ok((applied, since))
        });
        let (applied, compatible_since) = read.await?;
        let known: BTreeSet<String> = MigrationSource::<diesel::pg::Pg>::migrations(&MIGRATIONS)
            .map_err(|error| Error::unavailable(error.to_string()))?
            .iter()
            .map(|migration| migration.name().version().to_string())
            .collect();
        Ok(compare(&known, &applied, compatible_since.as_deref()))
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
        let pool = pg_pool(config, SESSION_OPTIONS, &self.liveness, 1, None)?;
        let mut conn = self.pg_conn(&pool, Instant::now() + CONNECT_TIMEOUT).await?;
        lock(&mut conn).await?;
        Ok(conn)
    }
}

/// Compares the migrations that this program knows with those of a database.
fn compare(known: &BTreeSet<String>, applied: &BTreeSet<String>, compatible_since: Option<&str>) -> Schema {
    if !known.is_subset(applied) {
        return if applied.is_subset(known) { Schema::Behind } else { Schema::Incompatible };
    }
    if applied.len() == known.len() {
        return Schema::Current;
    }
    let newest = known.last().map(String::as_str).unwrap_or_default();
    if compatible_since.is_some_and(|since| since <= newest) { Schema::Ahead } else { Schema::Incompatible }
}

/// Takes the advisory lock for the session. Tries again and again instead of waiting: a waiting statement has
/// a snapshot, and an index that is built concurrently waits for all older snapshots.
async fn lock(conn: &mut PgConn) -> Result<()> {
    let deadline = Instant::now() + LOCK_TIMEOUT;
    let mut backoff = LOCK_BACKOFF;
    loop {
        let lock: LockAttempt = diesel::sql_query(format!("SELECT pg_try_advisory_lock({LOCK}) AS taken"))
            .get_result(conn)
            .await?;
        if lock.taken {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Error::unavailable("another process is still changing the schema"));
        }
        sleep(backoff.next_delay()).await;
    }
}

/// Drops the indexes that an interrupted migration left half built, so that it can build them again.
async fn drop_invalid_indexes(conn: &mut PgConn) -> Result<()> {
    let invalid: Vec<IndexName> = diesel::sql_query(INVALID_INDEXES).load(conn).await?;
    for IndexName { name } in invalid {
        conn.batch_execute(&format!("DROP INDEX {name}")).await?;
    }
    Ok(())
}

#[derive(QueryableByName)]
struct LockAttempt {
    #[diesel(sql_type = Bool)]
    taken: bool,
}

#[derive(QueryableByName)]
struct IndexName {
    #[diesel(sql_type = Text)]
    name: String,
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

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn versions(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|version| (*version).to_owned()).collect()
    }

    #[rstest]
    #[case::same(&["1", "2"], Some("1"), Schema::Current)]
    #[case::empty(&[], None, Schema::Behind)]
    #[case::older(&["1"], Some("1"), Schema::Behind)]
    #[case::newer_and_compatible(&["1", "2", "3"], Some("2"), Schema::Ahead)]
    #[case::newer_and_contracted(&["1", "2", "3"], Some("3"), Schema::Incompatible)]
    #[case::newer_without_a_word(&["1", "2", "3"], None, Schema::Incompatible)]
    #[case::of_another_branch(&["1", "3"], Some("1"), Schema::Incompatible)]
    fn a_schema_is_compared(
        #[case] applied: &[&str],
        #[case] compatible_since: Option<&str>,
        #[case] expected: Schema,
    ) {
        assert_eq!(compare(&versions(&["1", "2"]), &versions(applied), compatible_since), expected);
    }
}
