//! The table of changes: one row for each transaction that changed something people look at.

mod position;

pub use position::{Key, PgSnapshot, Position, PositionError, Row};

use super::{Conn, Error, Result, on, settings, sql_types};
use crate::domain::{Timestamp, change_set::ChangeSet};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, QueryableByName, SqliteConnection, sql_query,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl;

mod table {
    diesel::table! {
        use diesel::sql_types::{BigInt, Text};
        use crate::store::sql_types::Timestamptz;

        // PostgreSQL's has the transaction besides, which Diesel has no type for.
        changes (seq) {
            seq -> BigInt,
            at -> Timestamptz,
            what -> Text,
        }
    }
}

/// Setting that names the feed of a SQLite file, and on PostgreSQL the feed that the rows belong to.
const FEED: &str = "feed";

/// Size of the changes that a reader loads at one time.
const MAX_UNSEEN_BYTES: i64 = 16 * 1024 * 1024;

/// Rows that one transaction deletes.
const PRUNE_BATCH_ROWS: i64 = 1_000;

/// What tells one feed of PostgreSQL from another, such as that of a restored dump or of a promoted standby:
/// system identifier, timeline, database and table.
const PG_FEED: &str = "
    SELECT concat_ws('-', (SELECT system_identifier FROM pg_control_system()),
        substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
        (SELECT oid FROM pg_database WHERE datname = current_database()), 'changes'::regclass::oid) AS text";

/// The changes that a reader has not seen, with the snapshot of this statement. What is visible to the
/// statement was committed in its snapshot. The reader has seen what had ended in its own snapshot: so unseen
/// are later transactions, and those that were in progress. (A range from the oldest of these would grow for as
/// long as anybody on the server has a transaction open.)
const PG_UNSEEN: &str = "
    SELECT now.now::text AS now, unseen.xid::text AS xid, unseen.seq, unseen.at, unseen.what
    FROM (SELECT pg_current_snapshot() AS now) AS now
    LEFT JOIN (
        (SELECT xid, seq, at, what FROM changes WHERE xid >= pg_snapshot_xmax($1::pg_snapshot)
            ORDER BY xid, seq LIMIT $2)
        UNION ALL
        (SELECT xid, seq, at, what FROM changes
            WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::pg_snapshot))) LIMIT $2)
    ) AS unseen ON true
    ORDER BY unseen.xid, unseen.seq LIMIT $2";

const SQLITE_UNSEEN: &str =
    "SELECT NULL AS now, NULL AS xid, seq, at, what FROM changes WHERE seq > ? ORDER BY seq LIMIT ?";

const PG_COUNT: &str = "
    SELECT count(*) AS rows, COALESCE(sum(octet_length(what)), 0)::bigint AS bytes FROM (
        (SELECT what FROM changes WHERE xid >= pg_snapshot_xmax($1::pg_snapshot) LIMIT $2)
        UNION ALL
        (SELECT what FROM changes WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::pg_snapshot))) LIMIT $2)
    ) AS unseen";

const SQLITE_COUNT: &str = "
    SELECT count(*) AS rows, COALESCE(sum(length(what)), 0) AS bytes
    FROM (SELECT what FROM changes WHERE seq > ? LIMIT ?) AS unseen";

/// Whether a position is of this server at all: one restored from a copy of its files begins again with
/// transactions that it had before.
const PG_IS_KNOWN: &str =
    "SELECT pg_snapshot_xmax($1::pg_snapshot) <= pg_snapshot_xmax(pg_current_snapshot()) AS known";

pub(super) const LISTEN: &str = "LISTEN shakerqueue_changes";

/// A notification that is lost in a crash costs the readers' poll interval, so its commit waits for no disk.
const PG_NOTIFY: &str =
    "SELECT set_config('synchronous_commit', 'off', true), pg_notify('shakerqueue_changes', '')";

const PG_PRUNE: &str = "
    DELETE FROM changes WHERE at < $1
        AND (xid, seq) IN (SELECT xid, seq FROM changes ORDER BY xid, seq LIMIT $2)";

const SQLITE_PRUNE: &str =
    "DELETE FROM changes WHERE at < ? AND seq IN (SELECT seq FROM changes ORDER BY seq LIMIT ?)";

/// One row of the table.
#[derive(Debug, Clone)]
pub struct StoredChange {
    pub key: Key,
    pub at: Timestamp,
    pub what: ChangeSet,
}

/// Changes that a reader has not seen, in the order of the feed, and its position after them.
#[derive(Debug)]
pub struct NewChanges {
    pub changes: Vec<StoredChange>,
    pub position: Position,
}

/// Adds what the transaction changes. Belongs in that transaction.
pub async fn append(conn: &mut Conn, what: &ChangeSet, at: Timestamp) -> Result<()> {
    if what.is_empty() {
        return Ok(());
    }
    on!(conn, c => diesel::insert_into(table::changes::table).values(row(what, at)).execute(c))?;
    Ok(())
}

/// Adds what the transaction changes, on a thread that may block. Belongs in that transaction.
pub(super) fn append_blocking(
    conn: &mut SqliteConnection,
    what: &ChangeSet,
    at: Timestamp,
) -> diesel::QueryResult<()> {
    if !what.is_empty() {
        let insert = diesel::insert_into(table::changes::table).values(row(what, at));
        diesel::RunQueryDsl::execute(insert, conn)?;
    }
    Ok(())
}

#[derive(Insertable)]
#[diesel(table_name = table::changes)]
struct NewRow {
    at: Timestamp,
    what: String,
}

fn row(what: &ChangeSet, at: Timestamp) -> NewRow {
    // It consists of ids, numbers and texts, which JSON can always express.
    NewRow { at, what: serde_json::to_string(what).unwrap_or_default() }
}

/// Returns the name of the feed.
pub async fn feed(conn: &mut Conn) -> Result<String> {
    match conn {
        Conn::Pg(conn) => {
            let feed: Found = sql_query(PG_FEED).get_result(&mut **conn).await?;
            Ok(feed.text)
        }
        Conn::Sqlite(_) => Ok(settings::get(conn, FEED).await?.unwrap_or_default()),
    }
}

/// Returns the position of a reader that has seen everything committed so far.
pub async fn position(conn: &mut Conn) -> Result<Position> {
    match conn {
        Conn::Pg(conn) => {
            let now: Found =
                sql_query("SELECT pg_current_snapshot()::text AS text").get_result(&mut **conn).await?;
            pg_position(&now.text)
        }
        Conn::Sqlite(conn) => {
            let latest = table::changes::table.order(table::changes::seq.desc());
            let latest: Option<(i64, Timestamp)> = latest
                .select((table::changes::seq, table::changes::at))
                .first(&mut **conn)
                .await
                .optional()?;
            Ok(Position::Sqlite(latest.map_or(Row::default(), |(seq, at)| Row { seq, at: at.micros() })))
        }
    }
}

/// Deletes the rows of another feed: those of a dump that was restored here are of transactions that this
/// server never had. Belongs in a transaction. Of several processes that find another feed one deletes.
pub async fn adopt(conn: &mut Conn, feed: &str) -> Result<()> {
    if matches!(conn, Conn::Sqlite(_)) || settings::get(conn, FEED).await?.as_deref() == Some(feed) {
        return Ok(());
    }
    if settings::replace(conn, FEED, feed).await? {
        on!(conn, c => diesel::delete(table::changes::table).execute(c))?;
    }
    Ok(())
}

/// Returns whether a reader may load what it has not seen: at most this many changes, of limited size.
pub async fn is_loadable(conn: &mut Conn, position: &Position, limit: i64) -> Result<bool> {
    let size: Size = match (conn, position) {
        (Conn::Pg(conn), Position::Pg(snapshot)) => {
            let query =
                sql_query(PG_COUNT).bind::<Text, _>(snapshot.to_string()).bind::<BigInt, _>(limit + 1);
            query.get_result(&mut **conn).await?
        }
        (Conn::Sqlite(conn), Position::Sqlite(row)) => {
            let query = sql_query(SQLITE_COUNT).bind::<BigInt, _>(row.seq).bind::<BigInt, _>(limit + 1);
            query.get_result(&mut **conn).await?
        }
        _ => return Err(other_database()),
    };
    Ok(size.rows <= limit && size.bytes <= MAX_UNSEEN_BYTES)
}

/// Loads the changes that a reader has not seen. Returns `None` if there are more than `limit`, because a part
/// of them has no position, and if a program of another version wrote one that this program can't read.
pub async fn unseen(conn: &mut Conn, position: &Position, limit: i64) -> Result<Option<NewChanges>> {
    let (rows, mut now): (Vec<ChangeRow>, _) = match (conn, position) {
        (Conn::Pg(conn), Position::Pg(snapshot)) => {
            let query =
                sql_query(PG_UNSEEN).bind::<Text, _>(snapshot.to_string()).bind::<BigInt, _>(limit + 1);
            let rows: Vec<ChangeRow> = query.load(&mut **conn).await?;
            let now = rows.as_slice().first().and_then(|row| row.now.as_deref()).unwrap_or_default();
            let now = pg_position(now)?;
            (rows, now)
        }
        (Conn::Sqlite(conn), Position::Sqlite(row)) => {
            let query = sql_query(SQLITE_UNSEEN).bind::<BigInt, _>(row.seq).bind::<BigInt, _>(limit + 1);
            (query.load(&mut **conn).await?, position.clone())
        }
        _ => return Err(other_database()),
    };
    if i64::try_from(rows.len()).is_ok_and(|rows| rows > limit) {
        return Ok(None);
    }
    let changes: serde_json::Result<Vec<StoredChange>> =
        rows.into_iter().filter_map(ChangeRow::into_change).collect();
    let Ok(changes) = changes else { return Ok(None) };
    if let (Position::Sqlite(row), Some(last)) = (&mut now, changes.last()) {
        *row = Row { seq: last.key.seq, at: last.at.micros() };
    }
    Ok(Some(NewChanges { changes, position: now }))
}

/// Returns whether a position is of this database: on PostgreSQL not later than now, on SQLite that of a row
/// with the same time.
pub async fn is_known(conn: &mut Conn, position: &Position) -> Result<bool> {
    match (conn, position) {
        (Conn::Pg(conn), Position::Pg(snapshot)) => {
            let query = sql_query(PG_IS_KNOWN).bind::<Text, _>(snapshot.to_string());
            let known: Known = query.get_result(&mut **conn).await?;
            Ok(known.known)
        }
        (Conn::Sqlite(conn), Position::Sqlite(row)) => {
            let at: Option<Timestamp> = table::changes::table
                .filter(table::changes::seq.eq(row.seq))
                .select(table::changes::at)
                .first(&mut **conn)
                .await
                .optional()?;
            Ok(at.map_or(0, Timestamp::micros) == row.at)
        }
        _ => Ok(false),
    }
}

/// Deletes some of the oldest rows that were added before `before`. Returns their number.
pub async fn prune(conn: &mut Conn, before: Timestamp) -> Result<usize> {
    let statement = if matches!(conn, Conn::Pg(_)) { PG_PRUNE } else { SQLITE_PRUNE };
    Ok(on!(conn, c => sql_query(statement)
        .bind::<sql_types::Timestamptz, _>(before)
        .bind::<BigInt, _>(PRUNE_BATCH_ROWS)
        .execute(c))?)
}

/// Tells other processes that something has changed, in a transaction of its own: a transaction that notifies
/// holds a lock of the whole server while it commits.
pub async fn notify(conn: &mut Conn) -> Result<()> {
    if let Conn::Pg(conn) = conn {
        sql_query(PG_NOTIFY).execute(&mut **conn).await?;
    }
    Ok(())
}

fn pg_position(snapshot: &str) -> Result<Position> {
    snapshot.parse().map(Position::Pg).map_err(Error::unavailable)
}

fn other_database() -> Error {
    Error::unavailable("the position is of another kind of database")
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    text: String,
}

#[derive(QueryableByName)]
struct Known {
    #[diesel(sql_type = Bool)]
    known: bool,
}

#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = BigInt)]
    rows: i64,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

/// Without a change where there is none: the snapshot alone.
#[derive(QueryableByName)]
struct ChangeRow {
    #[diesel(sql_type = Nullable<Text>)]
    now: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    xid: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    seq: Option<i64>,
    #[diesel(sql_type = Nullable<sql_types::Timestamptz>)]
    at: Option<Timestamp>,
    #[diesel(sql_type = Nullable<Text>)]
    what: Option<String>,
}

impl ChangeRow {
    /// Returns `None` if there is no change.
    fn into_change(self) -> Option<serde_json::Result<StoredChange>> {
        let (Some(seq), Some(at), Some(what)) = (self.seq, self.at, self.what) else { return None };
        let xid = self.xid.and_then(|xid| xid.parse().ok()).unwrap_or_default();
        let what = serde_json::from_str(&what);
        Some(what.map(|what| StoredChange { key: Key { xid, seq }, at, what }))
    }
}
