//! The PostgreSQL role that `serve` and `work` sign in with: it may read and write rows, and nothing else.
//!
//! Whoever takes over a process that answers the internet has its database role too. A role that does not own
//! the schema can drop, truncate and redefine nothing, and can't disable the triggers that protect the audit
//! trail.

use crate::store::{Error, PgConn, Pools, Store};
use diesel::{
    prelude::*,
    sql_query,
    sql_types::{Nullable, Text},
};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use postgres_protocol::password::scram_sha_256;
use secrecy::{ExposeSecret, SecretString};
use std::{fmt, str::FromStr};

/// Limit of PostgreSQL, which truncates longer names.
const MAX_NAME_BYTES: usize = 63;

/// Privileges on each table of ours: audit entries can't be changed, and the list of migrations is read-only.
/// Tables of other owners in the schema are left alone.
const TABLES: &str = "
    SELECT string_agg(format('REVOKE ALL ON %1$s FROM %2$I; GRANT %3$s ON %1$s TO %2$I', oid::regclass, $1,
        CASE WHEN relkind = 'S' THEN 'USAGE, SELECT'
             WHEN relname = '__diesel_schema_migrations' THEN 'SELECT'
             WHEN relname = 'audit_entries' THEN 'SELECT, INSERT'
             ELSE 'SELECT, INSERT, UPDATE, DELETE' END), '; ') AS text
    FROM pg_class
    WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind IN ('r', 'p', 'S')
        AND pg_get_userbyid(relowner) = current_user";

/// Access to the schema, and privileges on what later migrations add.
const AROUND: &str = "
    SELECT format('GRANT CONNECT ON DATABASE %1$I TO %2$I; GRANT USAGE ON SCHEMA %3$I TO %2$I;
        ALTER DEFAULT PRIVILEGES IN SCHEMA %3$I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %2$I;
        ALTER DEFAULT PRIVILEGES IN SCHEMA %3$I GRANT USAGE, SELECT ON SEQUENCES TO %2$I',
        current_database(), $1, current_schema()) AS text";

/// The role itself. `$2` is the SCRAM verifier, so that the log of the server contains no password.
const ACCOUNT: &str = "
    SELECT format(CASE WHEN EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)
        THEN 'ALTER ROLE %I LOGIN PASSWORD %L' ELSE 'CREATE ROLE %I LOGIN PASSWORD %L' END, $1, $2) AS text";

/// Finds another owner of objects that the migrations made.
const OTHER_OWNER: &str = "
    SELECT pg_get_userbyid(relowner)::text AS text FROM pg_class
    WHERE oid = to_regclass('orders') AND pg_get_userbyid(relowner) <> current_user";

/// Finds further rights of an existing role, with which `serve` must not be trusted.
const BESIDES: &str = "
    SELECT CASE
        WHEN rolname = current_user THEN 'is the one that migrates'
        WHEN rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls
            THEN 'has privileges of an administrator'
        WHEN EXISTS (SELECT 1 FROM pg_auth_members WHERE member = pg_roles.oid) THEN 'is a member of other roles'
        WHEN EXISTS (SELECT 1 FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass
                AND refobjid = pg_roles.oid AND deptype = 'o') THEN 'owns tables or databases'
        END AS text
    FROM pg_roles WHERE rolname = $1";

/// Finds rights that the role has because everybody has them.
const STILL: &str = "
    SELECT CASE
        WHEN has_schema_privilege($1, current_schema(), 'CREATE')
            THEN format('create tables (REVOKE CREATE ON SCHEMA %I FROM PUBLIC forbids it)', current_schema())
        WHEN has_database_privilege($1, current_database(), 'CREATE')
            THEN format('create schemas (REVOKE CREATE ON DATABASE %I FROM PUBLIC forbids it)', current_database())
        WHEN EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(current_schema()))
                AND relkind IN ('r', 'p') AND pg_get_userbyid(relowner) = current_user
                AND has_table_privilege($1, oid, 'TRUNCATE, TRIGGER'))
            THEN 'truncate tables or add triggers to them (REVOKE ALL ON ALL TABLES IN SCHEMA … FROM PUBLIC forbids it)'
        END AS text";

/// Name of a role that needs no quoting in a URL or in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleName(String);

impl FromStr for RoleName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let is_plain = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
        if is_plain && begins && name.len() <= MAX_NAME_BYTES && !name.starts_with("pg_") {
            Ok(Self(name.to_owned()))
        } else {
            Err(format!(
                "must be 1 to {MAX_NAME_BYTES} characters of a-z, 0-9 and _, begin with a letter, and not with pg_"
            ))
        }
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reason that the role was not made.
#[derive(Debug, thiserror::Error)]
pub enum AppRoleError {
    #[error("a SQLite file has no roles")]
    NoServer,
    /// The role exists and is more than a role for `serve` and `work`.
    #[error("the role {0} must be one for `serve` and `work` only, but it {1}")]
    NotPlain(RoleName, String),
    /// The tables belong to another role.
    #[error("only the owner of the tables can let {0} use them: run it as {1}")]
    NotOwner(RoleName, String),
    /// Everybody has more rights than on rows.
    #[error("the role {0} could still {1}")]
    TooMuch(RoleName, String),
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<diesel::result::Error> for AppRoleError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

#[derive(QueryableByName)]
struct Finding {
    #[diesel(sql_type = Nullable<Text>)]
    text: Option<String>,
}

impl Store {
    /// Creates a role with this password that may use what the migrations made, or updates it. Changes
    /// nothing unless all checks pass. Safe to repeat.
    pub async fn grant_app_role(&self, name: &RoleName, password: &SecretString) -> Result<(), AppRoleError> {
        if matches!(self.pools, Pools::Sqlite(..)) {
            return Err(AppRoleError::NoServer);
        }
        let mut conn = self.schema_conn().await?;
        // Any failure closes the connection, which rolls back.
        conn.batch_execute("BEGIN").await?;
        let besides: Option<Finding> =
            sql_query(BESIDES).bind::<Text, _>(&name.0).get_result(&mut conn).await.optional()?;
        if let Some(what) = besides.and_then(|finding| finding.text) {
            return Err(AppRoleError::NotPlain(name.clone(), what));
        }
        let owner: Option<Finding> = sql_query(OTHER_OWNER).get_result(&mut conn).await.optional()?;
        if let Some(owner) = owner.and_then(|finding| finding.text) {
            return Err(AppRoleError::NotOwner(name.clone(), owner));
        }
        let verifier = scram_sha_256(password.expose_secret().as_bytes());
        let account = sql_query(ACCOUNT).bind::<Text, _>(&name.0).bind::<Text, _>(verifier);
        let account: Finding = account.get_result(&mut conn).await?;
        conn.batch_execute(account.text.as_deref().unwrap_or_default()).await?;
        for statements in [TABLES, AROUND] {
            if let Some(statements) = text(&mut conn, statements, name).await? {
                conn.batch_execute(&statements).await?;
            }
        }
        if let Some(what) = text(&mut conn, STILL, name).await? {
            return Err(AppRoleError::TooMuch(name.clone(), what));
        }
        Ok(conn.batch_execute("COMMIT").await?)
    }
}

async fn text(conn: &mut PgConn, query: &str, name: &RoleName) -> Result<Option<String>, AppRoleError> {
    let finding: Finding = sql_query(query).bind::<Text, _>(&name.0).get_result(conn).await?;
    Ok(finding.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_needs_no_quotes() {
        for name in ["a", "shakerqueue_app", "bar2", &"a".repeat(63)] {
            assert_eq!(name.parse::<RoleName>().unwrap().to_string(), name);
        }
        for name in ["", "_a", "2a", "Bar", "bar-app", "bar app", "bar\"", "bär", "pg_app", &"a".repeat(64)]
        {
            assert!(name.parse::<RoleName>().unwrap_err().contains("63"), "{name:?}");
        }
    }
}
