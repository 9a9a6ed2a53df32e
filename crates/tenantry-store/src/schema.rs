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
    (3, "rules", include_str!("../migrations/0003_rules.sql")),
    (4, "usage", include_str!("../migrations/0004_usage.sql")),
    (5, "limits", include_str!("../migrations/0005_limits.sql")),
];

fn migrator() -> Migrator {
    migrator_up_to(i64::MAX)
}

fn migrator_up_to(newest: i64) -> Migrator {
    let migrations = MIGRATIONS
        .iter()
        .filter(|(version, ..)| *version <= newest)
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

#[cfg(test)]
mod tests {
    use tenantry_core::id::{AuditId, Id};
    use tenantry_testkit::{Database, both_engines};

    use super::*;
    use crate::Location;
    use crate::db::{Conn, args};

    async fn open(database: &Database) -> Db {
        Db::create(&Location::from(database.url.as_str())).await.expect("open")
    }

    async fn texts(conn: &mut Conn, sql: &'static str) -> Vec<String> {
        let rows = conn.all(sql, vec![]).await.expect("rows");
        rows.iter().map(|row| row.text("text").expect("text")).collect()
    }

    both_engines! {
        async fn what_was_there_before_people_is_there_afterwards(database) {
            let db = open(&database).await;
            db.migrate(&migrator_up_to(1)).await.expect("the first release");
            let mut conn = db.begin_write().await.expect("begin");
            conn.execute(
                "INSERT INTO audit (id, at, action, account_id, entity, actor_kind, actor_account, subject, request_id, ip, detail) \
                 VALUES ($1, 7, 'account.created', $1, 'acc', 'key', $1, $1, $1, '192.0.2.1', '{}')",
                args![AuditId::from_bytes([7; 16])],
            )
            .await
            .expect("a row");
            conn.execute("INSERT INTO audit_scope (account_id, audit_id) SELECT account_id, id FROM audit", vec![]).await.expect("its log");
            conn.commit().await.expect("commit");
            migrate(&db).await.expect("the next one");
            check(&db).await.expect("up to date");
            let mut conn = db.begin_read().await.expect("begin");
            assert_eq!(texts(&mut conn, "SELECT action AS text FROM audit_log").await, ["account.created"]);
            let listed = "SELECT a.ip AS text FROM audit_log_scope s JOIN audit_log a ON a.id = s.audit_id AND a.account_id = s.account_id";
            assert_eq!(texts(&mut conn, listed).await, ["192.0.2.1"]);
        }
    }
}
