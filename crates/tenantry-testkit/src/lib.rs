//! What the tests of all crates share: fresh databases on both engines, and golden files.
//!
//! PostgreSQL tests need `TENANTRY_TEST_PG`, the address of a server on which databases may be made
//! and dropped. `cargo xtask test` starts a private one; they fail without it, so that no run leaves an engine out
//! unnoticed.

pub mod peers;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection as _, Executor as _};

/// Runs the same test on SQLite and on PostgreSQL, each in a fresh database.
#[macro_export]
macro_rules! both_engines {
    ($($(#[$doc:meta])* async fn $name:ident($database:ident) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            #[expect(unused_imports, clippy::allow_attributes, reason = "not every test needs all of its module")]
            #[allow(unfulfilled_lint_expectations, reason = "but most do")]
            use super::*;

            async fn run($database: $crate::Database) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run($crate::Database::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                run($crate::Database::postgres().await).await;
            }
        }
    )*};
}

/// A fresh, empty database that is thrown away with this value.
#[derive(Debug)]
pub struct Database {
    /// A path for SQLite, a `postgres://` address for PostgreSQL.
    pub url: String,
    /// Where the file of SQLite is, and where a server on the database can have its own.
    pub directory: PathBuf,
    postgres: bool,
}

impl Database {
    /// An SQLite file that does not exist yet, in a directory of its own.
    #[must_use]
    pub fn sqlite() -> Self {
        let directory = fresh_directory("sqlite");
        Self { url: directory.join("tenantry.sqlite3").display().to_string(), directory, postgres: false }
    }

    /// An empty database on the PostgreSQL server that the tests run against.
    ///
    /// # Panics
    /// If `TENANTRY_TEST_PG` is not set, or its server does not answer.
    #[expect(clippy::panic, reason = "a test that cannot run must fail")]
    pub async fn postgres() -> Self {
        let server = postgres_server();
        let name = unique("t");
        let made = async {
            let mut admin = sqlx::PgConnection::connect(&server).await?;
            let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0"));
            admin.execute(create).await?;
            admin.close().await
        };
        if let Err(error) = made.await {
            panic!("no database on {server}: {error}");
        }
        let base = server.rsplit_once('/').map_or(server.as_str(), |(base, _)| base);
        Self { url: format!("{base}/{name}"), directory: fresh_directory("postgres"), postgres: true }
    }

    /// Whether this is PostgreSQL.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.postgres
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // PostgreSQL databases go with their private server.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[expect(
    clippy::disallowed_methods,
    clippy::panic,
    reason = "the one setting of the tests; a test that cannot run must fail"
)]
fn postgres_server() -> String {
    std::env::var("TENANTRY_TEST_PG").unwrap_or_else(|_| panic!("set TENANTRY_TEST_PG, or use `cargo xtask test`"))
}

/// A new directory for the files of one test.
///
/// # Panics
/// If it cannot be made.
#[must_use]
#[expect(clippy::panic, reason = "a test that cannot run must fail")]
pub fn fresh_directory(what: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(unique(&format!("tenantry-{what}")));
    if let Err(error) = std::fs::create_dir_all(&directory) {
        panic!("{}: {error}", directory.display());
    }
    directory
}

/// A number that makes a long test longer or shorter: the environment variable `name`, or `default`.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a setting of the tests")]
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Repeatable random numbers (splitmix64): the same seed, the same test.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts at `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() % bound as u64).unwrap_or_default()
    }
}

fn unique(prefix: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let tick = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    format!("{prefix}_{}_{count}_{tick:x}", std::process::id())
}

/// Compares `actual` with the committed file at `path`; rewrites it instead where `UPDATE=1` is set.
///
/// # Panics
/// If they differ.
#[expect(clippy::panic, clippy::disallowed_methods, reason = "an assertion")]
pub fn assert_golden(path: &Path, actual: &str) {
    if std::env::var("UPDATE").is_ok() {
        if let Err(error) = std::fs::write(path, actual) {
            panic!("{}: {error}", path.display());
        }
        return;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    if let Some((number, (is, was))) = actual.lines().zip(expected.lines()).enumerate().find(|(_, (is, was))| is != was)
    {
        panic!(
            "{}:{}: is\n  {is}\nbut the file says\n  {was}\nIf that is right, run with UPDATE=1.",
            path.display(),
            number + 1
        );
    }
    assert!(actual == expected, "{} has another length; if that is right, run with UPDATE=1", path.display());
}
