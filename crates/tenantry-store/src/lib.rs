//! The only SQL of Tenantry: one text per query, run on SQLite and on PostgreSQL.
//!
//! | module | holds |
//! |---|---|
//! | [`db`] | the seam: the one place that names both drivers |
//! | [`schema`] | migrations, and the refusal to run on a newer schema |
//! | [`tenant`] | the door: opening a tenant transaction authorizes, and takes the lock of the tree |
//! | [`root`] | the doors to what belongs to no account yet: new trees; and, for the operator, all trees |
//! | [`system`] | named doors for scheduled work |
//! | [`record`] | what every commit writes: audit row, changelog entry, kept answer |
//! | `account`, `key`, `resource`, `audit` | the queries, methods of what the doors return |
//! | `limit` | how many calls accounts and keys may make |
//! | `rule` | what accounts, roles, people and keys may not do |
//! | `membership`, `role`, `invitation` | the same for who belongs to an account |
//! | `person`, `session`, `ticket`, `ceremony`, `throttle` | users and how they prove who they are, with named doors of their own |
//! | `catalogue` | the APIs and endpoints, with the operator's door to them |
//! | `usage` | what calls used: how it gets in exactly once, and how it is asked about |
//! | `feed` | what the snapshot of the data plane is made of |
//! | [`fsck`] | the invariants, checked while the deployment runs |
//!
//! **The portable subset.** Ids `UUID`, hashes `BYTEA`, times and numbers `BIGINT`, flags
//! `BOOLEAN`, documents `TEXT` that no query looks into; every constraint has a name. No triggers, arrays,
//! enums, casts of ids, `now()`, advisory locks or engine-specific types. Sums are cast to `BIGINT`.
//! Lists are ordered by id or by a tuple that ends in it.
//!
//! **Names.** Resource first, verb second (`key_insert`, `key_list`). What is not there is
//! `Ok(None)`; the caller decides what that means.

mod account;
mod audit;
mod catalogue;
mod ceremony;
pub mod db;
mod error;
mod feed;
pub mod fsck;
mod invitation;
mod key;
mod limit;
mod membership;
mod person;
pub mod record;
mod resource;
mod role;
pub mod root;
mod rule;
pub mod schema;
mod session;
pub mod system;
pub mod tenant;
mod throttle;
mod ticket;
mod usage;

pub use account::{Child, Counts, Lined, SubtreeSize};
pub use audit::{AuditFilter, AuditRow};
pub use catalogue::CatalogueWrite;
pub use ceremony::Ceremony;
pub use db::Location;
pub use error::{Error, Result};
pub use invitation::EnrollmentLink;
pub use key::NewKey;
pub use membership::{Belonging, Member};
pub use person::{LinkedIdentity, Passkey, User};
pub use resource::{Resource, ResourceFilter, Share};
pub use role::CustomRole;
pub use session::{NewSession, SessionUse};
pub use throttle::Count;
pub use ticket::{DueMail, NewMail, Ticket};
pub use usage::{UsageGroup, UsageQuery, UsageRow, UsageRun};

pub use tenantry_core::account::Limits;

/// A database that is open and has the schema of this binary.
#[derive(Clone)]
pub struct Store {
    pub(crate) db: db::Db,
    /// The limits that a new tree starts with.
    pub(crate) default_limits: Limits,
}

impl Store {
    /// Opens the database, refusing one whose schema is older or newer than this binary's.
    ///
    /// # Errors
    /// [`Error::Schema`] for another schema, [`Error::Unavailable`] if the database cannot be reached.
    pub async fn open(location: &Location, default_limits: Limits) -> Result<Self> {
        let db = db::Db::open(location).await?;
        schema::check(&db).await?;
        Ok(Self { db, default_limits })
    }

    /// Brings the schema up to date, then opens the database.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn migrate(location: &Location, default_limits: Limits) -> Result<Self> {
        let db = db::Db::create(location).await?;
        schema::migrate(&db).await?;
        Ok(Self { db, default_limits })
    }

    /// The limits that a new tree starts with.
    #[must_use]
    pub fn default_limits(&self) -> Limits {
        self.default_limits
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if not.
    pub async fn ping(&self) -> Result<()> {
        let mut conn = self.db.begin_read().await?;
        conn.one("SELECT rev FROM changelog_head WHERE bucket = 0", vec![]).await?;
        conn.commit().await
    }

    /// Gives all connections back; waits for those in use.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

/// A window of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// At most this many rows.
    pub limit: i64,
    /// After skipping this many.
    pub offset: i64,
}

/// The rows in a window, and how many there are in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// How many rows the whole list has.
    pub total: i64,
}
