//! Migrations whose text for SQLite differs from that for PostgreSQL, `up.sql`.

use super::MIGRATIONS;
use diesel::{
    connection::BoxableConnection,
    migration::{Migration, MigrationMetadata, MigrationName, MigrationSource, Result},
    sqlite::Sqlite,
};

/// Versions of those migrations, with their texts.
const TEXTS: [(&str, &str); 1] =
    [("20261127070000", include_str!("../../../migrations/20261127070000_changes/up.sqlite.sql"))];

pub struct SqliteMigrations;

impl MigrationSource<Sqlite> for SqliteMigrations {
    fn migrations(&self) -> Result<Vec<Box<dyn Migration<Sqlite>>>> {
        let migrations = MigrationSource::<Sqlite>::migrations(&MIGRATIONS)?;
        Ok(migrations.into_iter().map(with_text).collect())
    }
}

fn with_text(migration: Box<dyn Migration<Sqlite>>) -> Box<dyn Migration<Sqlite>> {
    let version = migration.name().version().to_string();
    match TEXTS.iter().find(|(known, _)| *known == version) {
        Some((_, text)) => Box::new(SqliteMigration { migration, text }),
        None => migration,
    }
}

struct SqliteMigration {
    migration: Box<dyn Migration<Sqlite>>,
    text: &'static str,
}

impl Migration<Sqlite> for SqliteMigration {
    fn run(&self, conn: &mut dyn BoxableConnection<Sqlite>) -> Result<()> {
        Ok(conn.batch_execute(self.text)?)
    }

    fn revert(&self, conn: &mut dyn BoxableConnection<Sqlite>) -> Result<()> {
        self.migration.revert(conn)
    }

    fn metadata(&self) -> &dyn MigrationMetadata {
        self.migration.metadata()
    }

    fn name(&self) -> &dyn MigrationName {
        self.migration.name()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    #[test]
    fn every_text_for_sqlite_is_used() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let mut found: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|migration| migration.join("up.sqlite.sql").exists())
            .filter_map(|migration| Some(migration.file_name()?.to_str()?.split_once('_')?.0.to_owned()))
            .collect();
        found.sort();
        assert_eq!(found, TEXTS.map(|(version, _)| version));
    }
}
