//! Plain SQL: what the same rows cost when nothing stands between the driver and whoever wants them. Also how forests
//! are planted.
//!
//! Connections are those of `crates/tenantry-store/src/db.rs`, down to the pragmas and the sizes of the pools.
#![expect(clippy::disallowed_methods, reason = "the floor is plain SQL")]

use std::path::Path;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row as _, Sqlite, SqlitePool};
use tenantry_core::account::Account;
use tenantry_core::event::bucket;
use tenantry_core::id::{AccountId, AuditId, Id, KeyId, RequestId};
use tenantry_store::Location;
use uuid::Uuid;

use crate::Result;

/// The connections to one database.
#[derive(Debug, Clone)]
pub(crate) enum Plain {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// A connection that one client keeps.
#[derive(Debug)]
pub(crate) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// All that is written when an account is created by the key of its parent.
#[derive(Debug, Clone)]
pub(crate) struct Creation {
    pub(crate) account: Account,
    pub(crate) parent: AccountId,
    pub(crate) key: KeyId,
    pub(crate) audit: AuditId,
    pub(crate) request: RequestId,
    pub(crate) detail: String,
}

impl Plain {
    /// Opens the database as the store does.
    pub(crate) async fn open(location: &Location) -> Result<Self> {
        match location {
            Location::File(path) => Self::open_sqlite(path).await,
            Location::Server(url) => Self::open_postgres(url).await,
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .pragma("cache_size", "-65536")
            .statement_cache_capacity(256);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        let readers = SqlitePoolOptions::new().max_connections(4).connect_with(options.pragma("query_only", "ON"));
        Ok(Self::Sqlite { writer, readers: readers.await? })
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url.parse()?;
        let options = options.application_name("tenantry-benches").statement_cache_capacity(256);
        Ok(Self::Postgres(PgPoolOptions::new().max_connections(20).connect_with(options).await?))
    }

    /// Gives all connections back.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }

    /// Runs statements that are made from no input; several of them are one transaction.
    pub(crate) async fn script(&self, sql: String) -> Result<()> {
        let script = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Sqlite { writer, .. } => script.execute(writer).await.map(drop)?,
            Self::Postgres(pool) => script.execute(pool).await.map(drop)?,
        }
        Ok(())
    }

    /// What the engine says it is.
    pub(crate) async fn version(&self) -> Result<String> {
        Ok(match self {
            Self::Sqlite { writer, .. } => {
                sqlx::query("SELECT sqlite_version() AS v").fetch_one(writer).await?.try_get("v")?
            }
            Self::Postgres(pool) => {
                sqlx::query("SELECT current_setting('server_version') AS v").fetch_one(pool).await?.try_get("v")?
            }
        })
    }

    /// Takes a connection for reading.
    pub(crate) async fn reader(&self) -> Result<Reader> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Reader::Sqlite(readers.acquire().await?),
            Self::Postgres(pool) => Reader::Postgres(pool.acquire().await?),
        })
    }
}

const INSERT_ACCOUNT: &str = "INSERT INTO account (id, parent_id, root_id, parent_depth, child_count, kind, name, email, \
   status, settings, locked_settings, inherit_settings, inherit_admins, inherit_billing_contacts, inherit_audit_policies, \
   billing_contacts, audit_policies, billing_mode, metadata, version, created_at, updated_at, closed_at) \
 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)";
const COUNT_CHILD: &str = "UPDATE account SET child_count = child_count + $2 WHERE id = $1";
const INSERT_AUDIT: &str = "INSERT INTO audit_log (id, at, action, account_id, entity, actor_kind, actor_account, actor_key, \
   subject, request_id, ip, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const INSERT_SCOPE: &str = "INSERT INTO audit_log_scope (account_id, audit_id) \
 SELECT id, $1 FROM account WHERE id IN ($2, $3, $4, $5, $6)";
const TAKE_REVISION: &str = "UPDATE changelog_head SET rev = rev + 1 WHERE bucket = $1 RETURNING rev";
const INSERT_CHANGE: &str = "INSERT INTO changelog (bucket, rev, audit_id, kind, entity, version, body) \
 VALUES ($1, $2, $3, $4, $5, $6, $7)";
const ACTION: &str = "account.created";

/// Writes a creation in an open transaction of either engine, and commits it.
macro_rules! create {
    ($tx:expr, $new:expr) => {{
        let (mut tx, new): (_, &Creation) = ($tx, $new);
        let account = &new.account;
        let (id, parent, root) = (uuid(account.id), uuid(new.parent), uuid(account.root_id));
        sqlx::query(INSERT_ACCOUNT)
            .bind(id)
            .bind(account.parent_id.map(uuid))
            .bind(root)
            .bind(i64::from(account.depth) - 1)
            .bind(i64::from(account.child_count))
            .bind(account.kind.as_str())
            .bind(&account.name)
            .bind(&account.email)
            .bind(account.status.as_str())
            .bind("{}")
            .bind("[]")
            .bind(account.inherits.settings)
            .bind(account.inherits.admins)
            .bind(account.inherits.billing_contacts)
            .bind(account.inherits.audit_policies)
            .bind(None::<String>)
            .bind(None::<String>)
            .bind(account.billing_mode.as_str())
            .bind(account.metadata.as_json())
            .bind(account.version)
            .bind(account.created_at.0)
            .bind(account.updated_at.0)
            .bind(None::<i64>)
            .execute(&mut *tx)
            .await?;
        sqlx::query(COUNT_CHILD).bind(parent).bind(1_i64).execute(&mut *tx).await?;
        let entity = account.id.to_string();
        sqlx::query(INSERT_AUDIT)
            .bind(uuid(new.audit))
            .bind(account.created_at.0)
            .bind(ACTION)
            .bind(id)
            .bind(&entity)
            .bind("key")
            .bind(parent)
            .bind(uuid(new.key))
            .bind(parent)
            .bind(uuid(new.request))
            .bind("127.0.0.1")
            .bind(&new.detail)
            .execute(&mut *tx)
            .await?;
        sqlx::query(INSERT_SCOPE)
            .bind(uuid(new.audit))
            .bind(id)
            .bind(parent)
            .bind(parent)
            .bind(parent)
            .bind(None::<Uuid>)
            .execute(&mut *tx)
            .await?;
        let sequence = i64::from(bucket(account.root_id));
        let revision: i64 = sqlx::query(TAKE_REVISION).bind(sequence).fetch_one(&mut *tx).await?.try_get("rev")?;
        sqlx::query(INSERT_CHANGE)
            .bind(sequence)
            .bind(revision)
            .bind(uuid(new.audit))
            .bind(ACTION)
            .bind(&entity)
            .bind(account.version)
            .bind(&new.detail)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
    }};
}

const SET_ROOT: &str = "UPDATE account SET root_id = $1 WHERE id BETWEEN $2 AND $3";

impl Plain {
    /// Creates an account in one transaction: the rows that the product writes, and nothing asked before.
    pub(crate) async fn create(&self, new: &Creation) -> Result<()> {
        match self {
            Self::Sqlite { writer, .. } => create!(writer.begin_with("BEGIN IMMEDIATE").await?, new),
            Self::Postgres(pool) => create!(pool.begin().await?, new),
        }
        Ok(())
    }

    /// Writes another root into the accounts between these two, and returns how many there were.
    pub(crate) async fn set_root(&self, root: AccountId, first: AccountId, last: AccountId) -> Result<u64> {
        let (root, first, last) = (uuid(root), uuid(first), uuid(last));
        Ok(match self {
            Self::Sqlite { writer, .. } => {
                sqlx::query(SET_ROOT).bind(root).bind(first).bind(last).execute(writer).await?.rows_affected()
            }
            Self::Postgres(pool) => {
                sqlx::query(SET_ROOT).bind(root).bind(first).bind(last).execute(pool).await?.rows_affected()
            }
        })
    }
}

const CHILDREN: &str = "SELECT a.id, a.parent_id, a.root_id, a.depth, a.child_count, a.kind, a.name, a.email, a.status, \
   a.settings, a.locked_settings, a.inherit_settings, a.inherit_admins, a.inherit_billing_contacts, \
   a.inherit_audit_policies, a.billing_contacts, a.audit_policies, a.billing_mode, a.metadata, a.version, a.created_at, \
   a.updated_at, a.closed_at, \
   (SELECT COUNT(*) FROM resource r WHERE r.account_id = a.id AND r.kind = 'device') AS device_count \
 FROM account a WHERE a.parent_id = $1 AND ($2 IS NULL OR a.status = $2) ORDER BY a.id LIMIT $3 OFFSET $4";

/// Runs the query of a page, and returns how many rows it has.
macro_rules! page {
    ($conn:expr, $parent:expr) => {{
        let query = sqlx::query(CHILDREN).bind(uuid($parent)).bind(None::<String>).bind(100_i64).bind(0_i64);
        query.fetch_all(&mut **$conn).await?.len()
    }};
}

impl Reader {
    /// Reads the first 100 children of an account, and returns how many there are.
    pub(crate) async fn children(&mut self, parent: AccountId) -> Result<usize> {
        Ok(match self {
            Self::Sqlite(conn) => page!(conn, parent),
            Self::Postgres(conn) => page!(conn, parent),
        })
    }
}

const ACCOUNT_OF: &str = "SELECT account FROM lookup WHERE hash = $1";

impl Reader {
    /// Looks a hash up in the table of [`crate::data_plane`], where it is.
    pub(crate) async fn account_of(&mut self, hash: &[u8; 32]) -> Result<()> {
        let query = sqlx::query(ACCOUNT_OF).bind(hash.as_slice());
        match self {
            Self::Sqlite(conn) => query.fetch_one(&mut **conn).await.map(drop)?,
            Self::Postgres(_) => return Err("this is for SQLite".into()),
        }
        Ok(())
    }
}

fn uuid(id: impl Id) -> Uuid {
    Uuid::from_bytes(id.bytes())
}
