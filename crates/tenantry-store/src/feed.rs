//! What the snapshot of the data plane is made of: the whole at first, then what the changelog says is different.
//!
//! The changelog says what changed; how it is now is read from the tables, in one transaction with the changelog itself. So
//! what a reader is given is the state of the database at one instant, and nothing is told twice in two ways.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use tenantry_core::account::Kind;
use tenantry_core::event::{EventKind, Revision};
use tenantry_core::id::{AccountId, Id, KeyId, ResourceId, RoleId, UserId};
use tenantry_core::role::{Role, RoleRef};
use tenantry_core::snapshot::{Change, Place, Resource};

use crate::account::features;
use crate::catalogue::catalogue;
use crate::db::{Arg, Conn, Row, args};
use crate::key::{key, key_columns};
use crate::limit::limits;
use crate::membership::{permissions, role_ref};
use crate::rule::{rules_of_all, rules_on};
use crate::{Error, Result, Store};

/// How many rows are read at a time.
const BATCH: i64 = 10_000;

macro_rules! place_columns {
    () => {
        "id, parent_id, status, kind, inherit_admins, features, rate_calls, rate_seconds, in_flight"
    };
}

fn place(row: &Row) -> Result<Change> {
    Ok(Change::Account(Place {
        id: row.id("id")?,
        parent_id: row.optional_id("parent_id")?,
        status: row.word("status")?,
        inherits_admins: row.bool("inherit_admins")?,
        is_personal: row.word::<Kind>("kind")? == Kind::Personal,
        features: features(row.json("features")?),
        limits: limits(row, ["rate_calls", "rate_seconds", "in_flight"])?,
    }))
}

fn hashed_key(row: &Row) -> Result<Change> {
    let hash = row.bytes("key_hash")?;
    let hash =
        hash.try_into().map_err(|_| Error::Inconsistent { column: "hash", found: "another length".to_owned() })?;
    Ok(Change::Key(Box::new(key(row)?), hash))
}

fn member(row: &Row) -> Result<Change> {
    Ok(Change::Member(row.id("account_id")?, row.id("user_id")?, role_ref(row)?))
}

fn role(row: &Row) -> Result<Change> {
    Ok(Change::Role(Role {
        which: RoleRef::Custom(row.id("id")?),
        name: row.text("name")?,
        home: Some(row.id("account_id")?),
        permissions: permissions(&row.json::<Vec<String>>("permissions")?),
    }))
}

impl Store {
    /// Everything, as of one instant.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn feed_all(&self, mut take: impl FnMut(Change)) -> Result<()> {
        let mut conn = self.db.begin_scan().await?;
        let accounts = concat!("SELECT ", place_columns!(), " FROM account WHERE id > $1 ORDER BY id LIMIT $2");
        batches(&mut conn, accounts, "id", |row| place(row).map(&mut take)).await?;
        let sql = "SELECT id, account_id, name, permissions FROM role WHERE id > $1 ORDER BY id LIMIT $2";
        batches(&mut conn, sql, "id", |row| role(row).map(&mut take)).await?;
        let sql = "SELECT m.account_id, m.user_id, m.role, m.role_id FROM membership m WHERE m.account_id IN (\
                     SELECT id FROM account WHERE id > $1 ORDER BY id LIMIT $2) ORDER BY m.account_id";
        let mut from = None;
        while let Some(next) = last_of(&mut conn, from).await? {
            for row in conn.all(sql, args![from.unwrap_or_else(lowest), BATCH]).await? {
                take(member(&row)?);
            }
            from = Some(next);
        }
        let keys = concat!(
            "SELECT ",
            key_columns!(),
            ", k.hash AS key_hash FROM api_key k WHERE k.id > $1 ORDER BY k.id LIMIT $2"
        );
        batches(&mut conn, keys, "key_id", |row| hashed_key(row).map(&mut take)).await?;
        for (account, rules) in rules_of_all(&mut conn).await? {
            take(Change::Rules(account, rules));
        }
        let mut shares: BTreeMap<ResourceId, Vec<AccountId>> = BTreeMap::new();
        for row in conn.all("SELECT resource_id, to_account FROM share ORDER BY resource_id", vec![]).await? {
            shares.entry(row.id("resource_id")?).or_default().push(row.id("to_account")?);
        }
        let sql = "SELECT id, account_id, kind, external_id FROM resource WHERE id > $1 ORDER BY id LIMIT $2";
        let told = |row: &Row| {
            let id = row.id("id")?;
            take(Change::Resource(resource(row, id, shares.remove(&id).unwrap_or_default())?));
            Ok(())
        };
        batches(&mut conn, sql, "id", told).await?;
        take(Change::Catalogue(Arc::new(catalogue(&mut conn).await?)));
        for revision in heads(&mut conn).await? {
            take(Change::Revision(revision));
        }
        conn.commit().await
    }

    /// What is different since these revisions; empty if nothing is.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn feed_since(&self, known: impl Fn(u8) -> i64) -> Result<Vec<Change>> {
        let mut conn = self.db.begin_read().await?;
        let (mut touched, mut changes) = (Touched::default(), Vec::new());
        let newer: Vec<Revision> =
            heads(&mut conn).await?.into_iter().filter(|head| head.rev > known(head.bucket)).collect();
        for some in newer.chunks(FEW) {
            let since = |head: &Revision| [Arg::from(head.bucket), Arg::from(known(head.bucket))];
            for row in conn.all(ENTRIES, padded(some).flat_map(since).collect()).await? {
                touched.note(&row.text("kind")?, &row.text("entity")?, &row.text("body")?, row.id("account_id")?);
            }
        }
        changes.extend(newer.into_iter().map(Change::Revision));
        touched.read(&mut conn, &mut changes).await?;
        conn.commit().await?;
        Ok(changes)
    }
}

/// How many things are asked about in one query.
const FEW: usize = 8;

/// The entries of some buckets behind some revisions.
const ENTRIES: &str = "SELECT c.kind, c.entity, c.body, a.account_id FROM changelog c JOIN audit_log a ON a.id = c.audit_id \
     WHERE (c.bucket = $1 AND c.rev > $2) OR (c.bucket = $3 AND c.rev > $4) OR (c.bucket = $5 AND c.rev > $6) \
       OR (c.bucket = $7 AND c.rev > $8) OR (c.bucket = $9 AND c.rev > $10) OR (c.bucket = $11 AND c.rev > $12) \
       OR (c.bucket = $13 AND c.rev > $14) OR (c.bucket = $15 AND c.rev > $16)";

/// As many as a query asks about: the last one is asked about again.
fn padded<T>(some: &[T]) -> impl Iterator<Item = &T> {
    some.iter().chain(some.last().into_iter().cycle()).take(FEW)
}

/// The arguments of a query that asks about some ids.
fn few<T: Copy + Into<Arg>>(ids: &[T]) -> Vec<Arg> {
    padded(ids).map(|id| (*id).into()).collect()
}

/// Before every id.
fn lowest() -> AccountId {
    AccountId::from_bytes([0; 16])
}

/// Reads a table in the order of its ids.
async fn batches(
    conn: &mut Conn,
    sql: &'static str,
    id: &'static str,
    mut take: impl FnMut(&Row) -> Result<()>,
) -> Result<()> {
    let mut from = lowest();
    loop {
        let rows = conn.all(sql, args![from, BATCH]).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        from = last.id(id)?;
        for row in &rows {
            take(row)?;
        }
    }
}

/// The last of the accounts in the batch that follows one.
async fn last_of(conn: &mut Conn, from: Option<AccountId>) -> Result<Option<AccountId>> {
    let sql = "SELECT id FROM account WHERE id > $1 ORDER BY id LIMIT $2";
    let rows = conn.all(sql, args![from.unwrap_or_else(lowest), BATCH]).await?;
    rows.last().map(|row| row.id("id")).transpose()
}

async fn heads(conn: &mut Conn) -> Result<Vec<Revision>> {
    let rows = conn.all("SELECT bucket, rev FROM changelog_head ORDER BY bucket", vec![]).await?;
    let head = |row: &Row| {
        let bucket = row.int("bucket")?;
        let wrong = |_| Error::Inconsistent { column: "bucket", found: bucket.to_string() };
        Ok(Revision { bucket: u8::try_from(bucket).map_err(wrong)?, rev: row.int("rev")? })
    };
    rows.iter().map(head).collect()
}

/// What some entries of the changelog are about.
#[derive(Default)]
struct Touched {
    accounts: BTreeSet<AccountId>,
    /// Accounts that are new: with those who were made members along with them.
    made: BTreeSet<AccountId>,
    members: BTreeSet<(AccountId, UserId)>,
    keys: BTreeSet<KeyId>,
    roles: BTreeSet<RoleId>,
    rules: BTreeSet<AccountId>,
    resources: BTreeSet<ResourceId>,
    catalogue: bool,
}

/// The part of an event's detail that says whose a share was.
#[derive(Deserialize)]
struct ShareDetail {
    #[serde(rename = "resourceId")]
    resource_id: String,
}

impl Touched {
    fn note(&mut self, kind: &str, entity: &str, body: &str, account: AccountId) {
        use EventKind as E;
        // What this binary does not know was written by a newer one: the account is read again, which never hurts.
        let kind = EventKind::ALL.iter().copied().find(|known| known.as_str() == kind).unwrap_or(E::AccountUpdated);
        match kind {
            E::AccountCreated => {
                self.accounts.insert(account);
                self.made.insert(account);
            }
            E::AccountUpdated
            | E::AccountSettingsChanged
            | E::AccountInheritanceChanged
            | E::AccountMoved
            | E::AccountDetached
            | E::AccountSuspended
            | E::AccountActivated
            | E::AccountClosed
            | E::AccountPurged
            | E::FeaturesAssigned
            | E::CallLimitsSet
            | E::OrganizationCanceled
            | E::OrganizationResumed => {
                self.accounts.insert(account);
            }
            E::MemberAdded | E::MemberRoleChanged | E::MemberRemoved | E::MemberLeft => {
                self.members.extend(entity.parse().map(|user| (account, user)));
            }
            E::RoleCreated | E::RoleUpdated => self.roles.extend(entity.parse::<RoleId>()),
            E::KeyCreated | E::KeyLimited | E::KeyRotated | E::KeyRevoked => self.keys.extend(entity.parse::<KeyId>()),
            E::RestrictionCreated
            | E::RestrictionUpdated
            | E::RestrictionDeleted
            | E::AllowlistCreated
            | E::AllowlistUpdated
            | E::AllowlistDeleted => {
                self.rules.insert(account);
            }
            E::ResourceCreated | E::ResourceUpdated | E::ResourceDeleted => {
                self.resources.extend(entity.parse::<ResourceId>());
            }
            E::ShareCreated | E::ShareDeleted => {
                let detail = serde_json::from_str::<ShareDetail>(body).ok();
                self.resources.extend(detail.and_then(|detail| detail.resource_id.parse::<ResourceId>().ok()));
            }
            E::ApiCreated
            | E::ApiUpdated
            | E::ApiDeleted
            | E::EndpointCreated
            | E::EndpointUpdated
            | E::EndpointDeleted => {
                self.catalogue = true;
            }
            // Nothing of this matters to a call. A role that is deleted is nobody's.
            E::TreeLimitsChanged
            | E::RoleDeleted
            | E::InvitationCreated
            | E::InvitationResent
            | E::InvitationCanceled
            | E::InvitationDeclined
            | E::EnrollmentLinkCreated
            | E::EnrollmentLinkRevoked
            | E::SessionCreated
            | E::SessionProven
            | E::SessionEnded
            | E::UserUpdated
            | E::UserPasswordChanged
            | E::UserEmailChanged
            | E::AuthenticatorAdded
            | E::AuthenticatorRemoved
            | E::PasskeyAdded
            | E::PasskeyRemoved
            | E::IdentityLinked => (),
        }
    }

    async fn read(self, conn: &mut Conn, changes: &mut Vec<Change>) -> Result<()> {
        let accounts: Vec<_> = self.accounts.into_iter().collect();
        for some in accounts.chunks(FEW) {
            let sql =
                concat!("SELECT ", place_columns!(), " FROM account WHERE id IN ($1, $2, $3, $4, $5, $6, $7, $8)");
            let rows = conn.all(sql, few(some)).await?;
            let there = rows.iter().map(|row| row.id("id")).collect::<Result<BTreeSet<AccountId>>>()?;
            changes.extend(rows.iter().map(place).collect::<Result<Vec<_>>>()?);
            changes.extend(some.iter().filter(|id| !there.contains(id)).map(|id| Change::AccountGone(*id)));
        }
        for id in self.roles {
            let sql = "SELECT id, account_id, name, permissions FROM role WHERE id = $1";
            collect(conn, sql, args![id], role, changes).await?;
        }
        let made: Vec<_> = self.made.into_iter().collect();
        for some in made.chunks(FEW) {
            let sql = "SELECT account_id, user_id, role, role_id FROM membership \
                       WHERE account_id IN ($1, $2, $3, $4, $5, $6, $7, $8)";
            collect(conn, sql, few(some), member, changes).await?;
        }
        for (account, user) in self.members {
            let sql =
                "SELECT account_id, user_id, role, role_id FROM membership WHERE account_id = $1 AND user_id = $2";
            let row = conn.optional(sql, args![account, user]).await?;
            changes.push(row.as_ref().map_or(Ok(Change::MemberGone(account, user)), member)?);
            // Who ceases to be a member loses the keys that were theirs.
            let keys = concat!(
                "SELECT ",
                key_columns!(),
                ", k.hash AS key_hash FROM api_key k WHERE k.account_id = $1 AND k.user_id = $2"
            );
            collect(conn, keys, args![account, user], hashed_key, changes).await?;
        }
        let keys: Vec<_> = self.keys.into_iter().collect();
        for some in keys.chunks(FEW) {
            // With those that they replaced, which end earlier now.
            let sql = concat!(
                "WITH asked (id, rotated_from) AS (SELECT id, rotated_from FROM api_key WHERE id IN ($1, $2, $3, $4, $5, $6, $7, $8)) \
                 SELECT ",
                key_columns!(),
                ", k.hash AS key_hash FROM api_key k \
                 WHERE k.id IN (SELECT id FROM asked UNION SELECT rotated_from FROM asked WHERE rotated_from IS NOT NULL)"
            );
            collect(conn, sql, few(some), hashed_key, changes).await?;
        }
        for account in self.rules {
            changes.push(Change::Rules(account, rules_on(conn, account).await?));
        }
        for id in self.resources {
            changes.push(resource_now(conn, id).await?);
        }
        if self.catalogue {
            changes.push(Change::Catalogue(Arc::new(catalogue(conn).await?)));
        }
        Ok(())
    }
}

async fn collect(
    conn: &mut Conn,
    sql: &'static str,
    args: Vec<Arg>,
    change: impl Fn(&Row) -> Result<Change>,
    changes: &mut Vec<Change>,
) -> Result<()> {
    for row in conn.all(sql, args).await? {
        changes.push(change(&row)?);
    }
    Ok(())
}

async fn resource_now(conn: &mut Conn, id: ResourceId) -> Result<Change> {
    let sql = "SELECT account_id, kind, external_id FROM resource WHERE id = $1";
    let Some(row) = conn.optional(sql, args![id]).await? else { return Ok(Change::ResourceGone(id)) };
    let shares = conn.all("SELECT to_account FROM share WHERE resource_id = $1", args![id]).await?;
    let shared_with = shares.iter().map(|row| row.id("to_account")).collect::<Result<_>>()?;
    Ok(Change::Resource(resource(&row, id, shared_with)?))
}

fn resource(row: &Row, id: ResourceId, shared_with: Vec<AccountId>) -> Result<Resource> {
    Ok(Resource {
        id,
        account: row.id("account_id")?,
        kind: row.text("kind")?,
        external_id: row.optional_text("external_id")?,
        shared_with,
    })
}
