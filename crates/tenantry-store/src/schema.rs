//! Migrations: one directory of portable SQL for both engines.
//!
//! A migration only adds (expand); what an older binary still needs goes in a later release
//! (contract). A database that has migrations this binary does not know is refused.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use crate::db::{Db, database};
use crate::{Error, Result};

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "tree", include_str!("../migrations/0001_tree.sql")),
    (2, "people", include_str!("../migrations/0002_people.sql")),
];

fn migrator() -> Migrator {
    let migrations = MIGRATIONS
        .iter()
        .map(|(version, name, sql)| {
            let sql = sqlx::SqlStr::from_static(sql);
            Migration::new(*version, Cow::Borrowed(name), MigrationType::Simple, sql, false)
        })
        .collect();
    Migrator::with_migrations(migrations)
}

/// Applies what is missing.
pub(crate) async fn migrate(db: &Db) -> Result<()> {
    db.migrate(&migrator()).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => newer(version),
        MigrateError::VersionMismatch(version) => Error::Schema(format!(
            "migration {version} was changed after it was applied: this is another program's database"
        )),
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => database(source),
        other => Error::Schema(other.to_string()),
    })
}

/// Refuses a database whose schema is not exactly the one of this binary.
pub(crate) async fn check(db: &Db) -> Result<()> {
    let newest = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or_default();
    let mut conn = db.begin_read().await?;
    // The table is the migrator's; without it, nothing was ever applied.
    let applied = match conn.one("SELECT MAX(version) AS version FROM _sqlx_migrations WHERE success", vec![]).await {
        Ok(row) => row.optional_int("version")?.unwrap_or_default(),
        Err(Error::Database(_)) => 0,
        Err(other) => return Err(other),
    };
    match applied.cmp(&newest) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(newer(applied)),
        std::cmp::Ordering::Less => Err(Error::Schema(format!(
            "the schema is at {applied}, this binary needs {newest}: run `tenantry migrate`"
        ))),
    }
}

fn newer(version: i64) -> Error {
    Error::Schema(format!("the schema has migration {version}, which this binary does not know: run a newer binary"))
}
