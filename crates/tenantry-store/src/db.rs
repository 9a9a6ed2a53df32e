//! The seam between SQLite and PostgreSQL: the only place that names both drivers.
//!
//! Everything above hands in one SQL text with `$1, $2, …` and gets rows back. SQLite has one writer
//! connection (`BEGIN IMMEDIATE`, so no transaction ever has to upgrade and fail) and a pool of
//! readers; PostgreSQL writes at READ COMMITTED under explicit row locks and reads in one
//! snapshot.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, PgPool, Postgres, Row as _, Sqlite, SqlitePool, Transaction};
use tenantry_core::id::{
    AccountId, AllowlistId, AuditId, EndpointId, Id, InvitationId, KeyId, LinkId, MailId, PasskeyId, RequestId,
    ResourceId, RestrictionId, RoleId, SessionId, ShareId, TicketId, UserId,
};
use tenantry_core::refusal::Code;
use tenantry_core::{Document, Timestamp};
use uuid::Uuid;

use crate::{Error, Page, Paged, Result};

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// An SQLite file, made if it is missing.
    File(PathBuf),
    /// A `postgres://` address.
    Server(String),
}

impl From<&str> for Location {
    fn from(text: &str) -> Self {
        let server = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        if server { Self::Server(text.to_owned()) } else { Self::File(text.into()) }
    }
}

/// The oldest SQLite that is run on: before it, resetting the write-ahead log could corrupt the
/// database.
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 20;
/// A transaction that sees one state of the database.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// How PostgreSQL is to plan what a request asks for. All of it goes by indexes. Left alone, the planner prefers
/// scans and hash joins while the tables are small, and a prepared statement keeps such a plan while they grow,
/// until the next ANALYZE: each new account would make every request slower. A plan by indexes is right whatever the
/// values, so it is made once for a connection rather than again for each request.
const BY_INDEX: [(&str, &str); 6] = [
    ("statement_timeout", "30s"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// The most rows that are inserted with one statement. What is left over goes in powers of two, so that there are few statements.
const MOST_ROWS: usize = 64;

/// How long a connection may lie idle before it is asked whether it still works: asking costs a round trip.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections to one database.
#[derive(Clone)]
pub(crate) enum Db {
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres {
        /// For everything that goes by indexes.
        pool: PgPool,
        /// For what looks at whole tables.
        scans: PgPool,
    },
}

impl Db {
    /// Opens a database; an SQLite file must exist already.
    pub(crate) async fn open(location: &Location) -> Result<Self> {
        match location {
            Location::File(path) if !path.exists() => {
                Err(Error::Schema(format!("{} does not exist: run `tenantry migrate`", path.display())))
            }
            location => Self::create(location).await,
        }
    }

    /// Opens a database; makes an SQLite file that is missing.
    pub(crate) async fn create(location: &Location) -> Result<Self> {
        match location {
            Location::File(path) => Self::open_sqlite(path).await,
            Location::Server(url) => Self::open_postgres(url).await,
        }
    }

    async fn open_sqlite(path: &std::path::Path) -> Result<Self> {
        make_private_file(path).map_err(|error| Error::Unavailable(format!("{}: {error}", path.display()).into()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .pragma("cache_size", "-65536")
            .statement_cache_capacity(256);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone())
            .await
            .map_err(database)?;
        let version: String = sqlite_version(&writer).await?;
        if parse_version(&version) < Some(OLDEST_SQLITE) {
            return Err(Error::Schema(format!("SQLite {version} is too old: 3.51.3 is the oldest that is safe")));
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(SQLITE_READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(database)?;
        Ok(Self::Sqlite { writer, readers })
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url.parse().map_err(database)?;
        let options = options
            .application_name("tenantry")
            .options([("idle_in_transaction_session_timeout", "60s")])
            .statement_cache_capacity(256);
        // A pool tries again and again and then says that it waited: one connection says at once what is wrong.
        let first = sqlx::PgConnection::connect_with(&options).await.map_err(database)?;
        first.close().await.map_err(database)?;
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|conn, meta| Box::pin(alive(conn, meta.idle_for)))
            .connect_with(options.clone().options(BY_INDEX))
            .await
            .map_err(database)?;
        let scans = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(options);
        Ok(Self::Postgres { pool, scans })
    }

    /// Opens a transaction that sees one state of the whole database and cannot write.
    pub(crate) async fn begin_read(&self) -> Result<Conn> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Conn::Sqlite(readers.begin().await.map_err(database)?),
            Self::Postgres { pool, .. } => Conn::Postgres(pool.begin_with(SNAPSHOT).await.map_err(database)?),
        })
    }

    /// The same for what looks at whole tables.
    pub(crate) async fn begin_scan(&self) -> Result<Conn> {
        Ok(match self {
            Self::Sqlite { .. } => self.begin_read().await?,
            Self::Postgres { scans, .. } => Conn::Postgres(scans.begin_with(SNAPSHOT).await.map_err(database)?),
        })
    }

    /// Opens a transaction that may write. On SQLite it is the only one.
    pub(crate) async fn begin_write(&self) -> Result<Conn> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Conn::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await.map_err(database)?),
            Self::Postgres { pool, .. } => Conn::Postgres(pool.begin().await.map_err(database)?),
        })
    }

    pub(crate) async fn migrate(&self, migrator: &sqlx::migrate::Migrator) -> Result<(), sqlx::migrate::MigrateError> {
        match self {
            Self::Sqlite { writer, .. } => migrator.run(writer).await,
            Self::Postgres { scans, .. } => migrator.run(scans).await,
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { pool, scans } => {
                pool.close().await;
                scans.close().await;
            }
        }
    }
}

/// Whether a pooled connection can be used; one that was in use a moment ago is not asked.
async fn alive(conn: &mut sqlx::PgConnection, idle: Duration) -> sqlx::Result<bool> {
    if idle < TRUSTED_IDLE { Ok(true) } else { Ok(conn.ping().await.is_ok()) }
}

/// Makes the file of the database, if it is missing, for nobody else to read. SQLite gives the files beside it the same mode.
fn make_private_file(path: &std::path::Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.append(true).create(true).open(path).map(drop)
}

#[expect(clippy::disallowed_methods, reason = "this is the seam")]
async fn sqlite_version(pool: &SqlitePool) -> Result<String> {
    let row = sqlx::query("SELECT sqlite_version() AS version").fetch_one(pool).await.map_err(database)?;
    row.try_get("version").map_err(database)
}

fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.splitn(3, '.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// A value for a `$n`. `NULL`s are typed, as PostgreSQL wants them.
#[derive(Debug, Clone)]
pub(crate) enum Arg {
    Id(Option<Uuid>),
    Bytes(Option<Vec<u8>>),
    Int(Option<i64>),
    Bool(bool),
    Text(Option<String>),
}

macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::db::Arg::from($value)),*] };
}
pub(crate) use args;

macro_rules! arg_from {
    ($($from:ty => |$value:ident| $arg:expr;)*) => {$(
        impl From<$from> for Arg {
            fn from($value: $from) -> Self {
                $arg
            }
        }
    )*};
}

arg_from! {
    i64 => |value| Self::Int(Some(value));
    u32 => |value| Self::Int(Some(i64::from(value)));
    u8 => |value| Self::Int(Some(i64::from(value)));
    Option<i64> => |value| Self::Int(value);
    Option<u32> => |value| Self::Int(value.map(i64::from));
    Timestamp => |value| Self::Int(Some(value.0));
    Option<Timestamp> => |value| Self::Int(value.map(|at| at.0));
    bool => |value| Self::Bool(value);
    &str => |value| Self::Text(Some(value.to_owned()));
    String => |value| Self::Text(Some(value));
    &String => |value| Self::Text(Some(value.clone()));
    Option<String> => |value| Self::Text(value);
    Option<&str> => |value| Self::Text(value.map(str::to_owned));
    &Document => |value| Self::Text(Some(value.as_json().to_owned()));
    Option<&Document> => |value| Self::Text(value.map(|json| json.as_json().to_owned()));
    &[u8] => |value| Self::Bytes(Some(value.to_vec()));
    Option<&[u8]> => |value| Self::Bytes(value.map(<[u8]>::to_vec));
    [u8; 32] => |value| Self::Bytes(Some(value.to_vec()));
    Option<[u8; 32]> => |value| Self::Bytes(value.map(|bytes| bytes.to_vec()));
}

macro_rules! arg_from_ids {
    ($($id:ident)*) => {$(
        impl From<$id> for Arg {
            fn from(id: $id) -> Self {
                Self::Id(Some(Uuid::from_bytes(id.bytes())))
            }
        }
        impl From<Option<$id>> for Arg {
            fn from(id: Option<$id>) -> Self {
                Self::Id(id.map(|id| Uuid::from_bytes(id.bytes())))
            }
        }
    )*};
}

arg_from_ids! {
    AccountId AllowlistId AuditId EndpointId InvitationId KeyId LinkId MailId PasskeyId RequestId ResourceId RestrictionId RoleId SessionId ShareId TicketId
    UserId
}

/// One transaction on either engine. Dropped without a commit, it is rolled back.
pub(crate) enum Conn {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

macro_rules! bound {
    ($sql:expr, $args:expr) => {{
        let mut query = sqlx::query($sql);
        for arg in $args {
            query = match arg {
                Arg::Id(value) => query.bind(value),
                Arg::Bytes(value) => query.bind(value),
                Arg::Int(value) => query.bind(value),
                Arg::Bool(value) => query.bind(value),
                Arg::Text(value) => query.bind(value),
            };
        }
        query
    }};
}

#[expect(clippy::disallowed_methods, reason = "this is the seam")]
impl Conn {
    /// Runs a statement; answers how many rows it changed.
    pub(crate) async fn execute(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<u64> {
        match self {
            Self::Sqlite(tx) => bound!(sql, args).execute(&mut **tx).await.map(|done| done.rows_affected()),
            Self::Postgres(tx) => bound!(sql, args).execute(&mut **tx).await.map(|done| done.rows_affected()),
        }
        .map_err(database)
    }

    /// Inserts rows of `width` values each, many with one statement. `into` is what stands before the values, `conflict` what
    /// stands behind them. Answers how many rows were inserted or changed.
    pub(crate) async fn insert_all(
        &mut self,
        into: &'static str,
        conflict: &'static str,
        width: usize,
        values: Vec<Arg>,
    ) -> Result<u64> {
        let (mut left, mut values, mut done) = (values.len() / width, values.into_iter(), 0);
        while left > 0 {
            let rows = 1 << left.min(MOST_ROWS).ilog2();
            left -= rows;
            // Made of texts of ours and numbers.
            let sql = AssertSqlSafe(format!("{into} VALUES {} {conflict}", places(rows, width)));
            let values = values.by_ref().take(rows * width);
            done += match self {
                Self::Sqlite(tx) => bound!(sql, values).execute(&mut **tx).await.map(|done| done.rows_affected()),
                Self::Postgres(tx) => bound!(sql, values).execute(&mut **tx).await.map(|done| done.rows_affected()),
            }
            .map_err(database)?;
        }
        Ok(done)
    }

    /// All rows of a query.
    pub(crate) async fn all(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Row>> {
        match self {
            Self::Sqlite(tx) => {
                bound!(sql, args).fetch_all(&mut **tx).await.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(tx) => {
                bound!(sql, args).fetch_all(&mut **tx).await.map(|rows| rows.into_iter().map(Row::Postgres).collect())
            }
        }
        .map_err(database)
    }

    /// The row of a query that has at most one.
    pub(crate) async fn optional(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Option<Row>> {
        match self {
            Self::Sqlite(tx) => bound!(sql, args).fetch_optional(&mut **tx).await.map(|row| row.map(Row::Sqlite)),
            Self::Postgres(tx) => bound!(sql, args).fetch_optional(&mut **tx).await.map(|row| row.map(Row::Postgres)),
        }
        .map_err(database)
    }

    /// The row of a query that has exactly one.
    pub(crate) async fn one(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Row> {
        match self {
            Self::Sqlite(tx) => bound!(sql, args).fetch_one(&mut **tx).await.map(Row::Sqlite),
            Self::Postgres(tx) => bound!(sql, args).fetch_one(&mut **tx).await.map(Row::Postgres),
        }
        .map_err(database)
    }

    /// A window of a list, and how long the list is. `count` counts it as `n`; `list` takes the limit and the offset behind
    /// the arguments of both.
    pub(crate) async fn page<T>(
        &mut self,
        count: &'static str,
        list: &'static str,
        args: Vec<Arg>,
        page: Page,
        view: impl Fn(&Row) -> Result<T>,
    ) -> Result<Paged<T>> {
        let total = self.one(count, args.clone()).await?.int("n")?;
        let window = [Arg::from(page.limit), Arg::from(page.offset)];
        let rows = self.all(list, args.into_iter().chain(window).collect()).await?;
        Ok(Paged { rows: rows.iter().map(view).collect::<Result<_>>()?, total })
    }

    pub(crate) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
        .map_err(database)
    }

    pub(crate) async fn rollback(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Postgres(tx) => tx.rollback().await,
        }
        .map_err(database)
    }
}

/// `($1, $2), ($3, $4)`: where the values of two rows of two go.
fn places(rows: usize, width: usize) -> String {
    let row = |row: usize| {
        let places: Vec<_> = (1..=width).map(|column| format!("${}", row * width + column)).collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// A row of either engine.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    fn get<T>(&self, column: &'static str) -> Result<T>
    where
        for<'r> T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite> + sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(|error| Error::Inconsistent { column, found: error.to_string() })
    }

    pub(crate) fn id<T: Id>(&self, column: &'static str) -> Result<T> {
        Ok(T::from_bytes(self.get::<Uuid>(column)?.into_bytes()))
    }

    pub(crate) fn optional_id<T: Id>(&self, column: &'static str) -> Result<Option<T>> {
        Ok(self.get::<Option<Uuid>>(column)?.map(|id| T::from_bytes(id.into_bytes())))
    }

    pub(crate) fn int(&self, column: &'static str) -> Result<i64> {
        self.get(column)
    }

    pub(crate) fn optional_int(&self, column: &'static str) -> Result<Option<i64>> {
        self.get(column)
    }

    pub(crate) fn count(&self, column: &'static str) -> Result<u32> {
        let value = self.int(column)?;
        u32::try_from(value).map_err(|_| Error::Inconsistent { column, found: value.to_string() })
    }

    pub(crate) fn optional_count(&self, column: &'static str) -> Result<Option<u32>> {
        if self.optional_int(column)?.is_some() { self.count(column).map(Some) } else { Ok(None) }
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.int(column).map(Timestamp)
    }

    pub(crate) fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>> {
        Ok(self.optional_int(column)?.map(Timestamp))
    }

    pub(crate) fn bool(&self, column: &'static str) -> Result<bool> {
        self.get(column)
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String> {
        self.get(column)
    }

    pub(crate) fn optional_text(&self, column: &'static str) -> Result<Option<String>> {
        self.get(column)
    }

    pub(crate) fn bytes(&self, column: &'static str) -> Result<Vec<u8>> {
        self.get(column)
    }

    pub(crate) fn optional_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>> {
        self.get(column)
    }

    pub(crate) fn document(&self, column: &'static str) -> Result<Document> {
        self.text(column).map(Document::from_json)
    }

    pub(crate) fn optional_document(&self, column: &'static str) -> Result<Option<Document>> {
        Ok(self.optional_text(column)?.map(Document::from_json))
    }

    /// A text that is one of the words of an enum.
    pub(crate) fn word<T: std::str::FromStr>(&self, column: &'static str) -> Result<T> {
        let text = self.text(column)?;
        text.parse().map_err(|_| Error::Inconsistent { column, found: text })
    }

    /// A document that is parsed into what the schema promises.
    pub(crate) fn json<T: for<'de> serde::Deserialize<'de>>(&self, column: &'static str) -> Result<T> {
        parse_json(column, &self.text(column)?)
    }

    pub(crate) fn optional_json<T: for<'de> serde::Deserialize<'de>>(&self, column: &'static str) -> Result<Option<T>> {
        self.optional_text(column)?.map(|text| parse_json(column, &text)).transpose()
    }
}

fn parse_json<T: for<'de> serde::Deserialize<'de>>(column: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Inconsistent { column, found: error.to_string() })
}

/// Constraints that callers can run into, and what they are told. SQLite names checks but not
/// unique constraints: for those it reports the columns.
const CONSTRAINTS: &[(&str, &str, Code)] = &[
    ("api_pk", "api.id", Code::ApiTaken),
    ("api_base_path", "api.base_path", Code::BasePathTaken),
    ("endpoint_once", "endpoint.api_id, endpoint.method, endpoint.shape", Code::EndpointTaken),
    ("account_depth", "account_depth", Code::DepthExceeded),
    ("account_self_parent", "account_self_parent", Code::SelfParent),
    ("enrollment_link_uses", "enrollment_link_uses", Code::LinkExhausted),
    ("identity_pk", "identity.provider, identity.subject", Code::IdentityTaken),
    ("invitation_pending", "invitation.account_id, invitation.email_key", Code::InvitationPending),
    ("membership_pk", "membership.account_id, membership.user_id", Code::AlreadyMember),
    ("person_email", "person.email_key", Code::EmailTaken),
    ("role_name", "role.account_id, role.name_key", Code::RoleNameTaken),
    ("idempotency_pk", "idempotency.id", Code::IdempotencyInFlight),
    ("resource_external_id", "resource.account_id, resource.kind, resource.external_id", Code::ExternalIdTaken),
];

/// Turns what a driver says into what the store says.
pub(crate) fn database(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(db) => {
            if let Some(code) = violated(db.as_ref()) {
                return code.into();
            }
            if is_passing(db.as_ref()) {
                return Error::Unavailable(Box::new(error));
            }
            Error::Database(Box::new(error))
        }
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::WorkerCrashed => Error::Unavailable(Box::new(error)),
        _ => Error::Database(Box::new(error)),
    }
}

fn violated(error: &dyn sqlx::error::DatabaseError) -> Option<Code> {
    let told = match error.constraint() {
        Some(name) => name,
        None => error.message().split_once("constraint failed: ")?.1,
    };
    CONSTRAINTS.iter().find(|(name, columns, _)| told == *name || told == *columns).map(|(_, _, code)| *code)
}

/// PostgreSQL: connection trouble, resources, shutdown, serialization. SQLite: busy, full.
fn is_passing(error: &dyn sqlx::error::DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
        ["08", "40", "53", "57P"].iter().any(|class| code.starts_with(class))
    } else {
        matches!(code.as_ref(), "5" | "13" | "261" | "517")
    }
}

#[cfg(test)]
mod tests;
