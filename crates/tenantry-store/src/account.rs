//! Accounts: rows, lines of ancestors, lists and the writes of the tree.

mod lists;

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tenantry_core::account::{Account, Inherits, Limits, Status};
use tenantry_core::feature::Feature;
use tenantry_core::id::{AccountId, KeyId};
use tenantry_core::key::Key;
use tenantry_core::limit::Rate;
use tenantry_core::lineage::Lineage;
use tenantry_core::{Document, Refusal, Timestamp, refusal::Code};

use crate::db::{Conn, Row, args};
use crate::key::{key, key_columns};
use crate::limit::limits as limits_of;
use crate::tenant::TenantWrite;
use crate::{Error, Result};

/// The columns that [`account`] reads, of a table called `a`.
macro_rules! account_columns {
    () => {
        "a.id, a.parent_id, a.root_id, a.depth, a.child_count, a.kind, a.name, a.email, a.status, a.rule_count, a.settings, \
         a.locked_settings, a.inherit_settings, a.inherit_admins, a.inherit_billing_contacts, a.inherit_audit_policies, \
         a.billing_contacts, a.audit_policies, a.billing_mode, a.metadata, a.features, a.version, a.created_at, a.updated_at, \
         a.closed_at, a.canceled_at, a.rate_calls, a.rate_seconds, a.in_flight"
    };
}
pub(crate) use account_columns;

/// How many members the account `a` has, and how many devices it owns.
macro_rules! counts {
    () => {
        "(SELECT COUNT(*) FROM membership m WHERE m.account_id = a.id) AS user_count, \
         (SELECT COUNT(*) FROM resource r WHERE r.account_id = a.id AND r.kind = 'device') AS device_count"
    };
}
pub(crate) use counts;

/// What belongs to an account, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many members it has.
    pub users: i64,
    /// How many resources of kind `device` it owns.
    pub devices: i64,
}

fn counted(row: &Row) -> Result<Counts> {
    Ok(Counts { users: row.int("user_count")?, devices: row.int("device_count")? })
}

/// The accounts whose ids `$page` selects, marked as `listed`, together with all their ancestors:
/// what [`lined`] needs to tell what each of them inherits.
macro_rules! with_lines {
    ($($page:tt)*) => {
        concat!(
            "WITH RECURSIVE page (id) AS (",
            $($page)*,
            "), line (id, parent_id, listed) AS (\
               SELECT a.id, a.parent_id, TRUE FROM account a JOIN page ON page.id = a.id \
               UNION SELECT p.id, p.parent_id, FALSE FROM account p JOIN line ON p.id = line.parent_id) \
             SELECT ",
            crate::account::account_columns!(),
            ", t.max_depth, t.max_children, t.super_organization, ",
            crate::account::counts!(),
            ", line.listed FROM line JOIN account a ON a.id = line.id JOIN tree t ON t.root_id = a.root_id"
        )
    };
}
pub(crate) use with_lines;

/// The account `$1` and all above it, as the table `up`.
macro_rules! with_up {
    () => {
        "WITH RECURSIVE up (id, parent_id) AS (\
           SELECT id, parent_id FROM account WHERE id = $1 \
           UNION ALL SELECT a.id, a.parent_id FROM account a JOIN up ON a.id = up.parent_id) "
    };
}
pub(crate) use with_up;

/// The accounts strictly below `$1`, as the table `below`.
macro_rules! with_below {
    () => {
        "WITH RECURSIVE below (id) AS (\
           SELECT id FROM account WHERE parent_id = $1 \
           UNION ALL SELECT a.id FROM account a JOIN below ON a.parent_id = below.id) "
    };
}
pub(crate) use with_below;

pub(crate) fn account(row: &Row) -> Result<Account> {
    Ok(Account {
        id: row.id("id")?,
        parent_id: row.optional_id("parent_id")?,
        root_id: row.id("root_id")?,
        depth: row.count("depth")?,
        child_count: row.count("child_count")?,
        rule_count: row.count("rule_count")?,
        kind: row.word("kind")?,
        name: row.text("name")?,
        email: row.text("email")?,
        status: row.word("status")?,
        settings: documents(row.json("settings")?),
        locked_settings: row.json("locked_settings")?,
        inherits: Inherits {
            settings: row.bool("inherit_settings")?,
            admins: row.bool("inherit_admins")?,
            billing_contacts: row.bool("inherit_billing_contacts")?,
            audit_policies: row.bool("inherit_audit_policies")?,
        },
        billing_contacts: row.optional_json("billing_contacts")?,
        audit_policies: row.optional_document("audit_policies")?,
        billing_mode: row.word("billing_mode")?,
        metadata: row.document("metadata")?,
        version: row.int("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        closed_at: row.optional_time("closed_at")?,
        canceled_at: row.optional_time("canceled_at")?,
        features: features(row.json("features")?),
        call_limits: limits_of(row, ["rate_calls", "rate_seconds", "in_flight"])?,
    })
}

/// `true` is a feature that may be used, a number one that may be used that much.
pub(crate) fn features(raw: BTreeMap<String, serde_json::Value>) -> BTreeMap<String, Feature> {
    let feature = |value: &serde_json::Value| match value.as_i64() {
        Some(most) => Some(Feature::UpTo(most)),
        None => value.as_bool().filter(|on| *on).map(|_| Feature::On),
    };
    raw.into_iter().filter_map(|(name, value)| Some((name, feature(&value)?))).collect()
}

fn features_json(features: &BTreeMap<String, Feature>) -> String {
    let value = |feature: &Feature| match feature {
        Feature::On => serde_json::Value::from(true),
        Feature::UpTo(most) => serde_json::Value::from(*most),
    };
    json(&features.iter().map(|(name, feature)| (name, value(feature))).collect::<BTreeMap<_, _>>())
}

fn documents(raw: BTreeMap<String, Box<RawValue>>) -> BTreeMap<String, Document> {
    raw.into_iter().map(|(name, value)| (name, Document::from_json(value.get().to_owned()))).collect()
}

fn settings_json(settings: &BTreeMap<String, Document>) -> String {
    let pairs: Vec<_> = settings.iter().map(|(name, value)| format!("{}:{}", json(name), value.as_json())).collect();
    format!("{{{}}}", pairs.join(","))
}

/// JSON of a value that cannot fail to have one.
pub(crate) fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// A child in the list of its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The account.
    pub account: Account,
    /// What belongs to it.
    pub counts: Counts,
}

/// An account in a list, with all that it inherits from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lined {
    /// The account and its ancestors.
    pub line: Lineage,
    /// The limits of its tree.
    pub limits: Limits,
    /// What belongs to it.
    pub counts: Counts,
}

/// The listed accounts among the rows of a query made [`with_lines`], ordered by level and id.
pub(crate) fn lined(rows: &[Row]) -> Result<Vec<Lined>> {
    let mut accounts = BTreeMap::new();
    let mut listed = Vec::new();
    for row in rows {
        let account = account(row)?;
        if row.bool("listed")? {
            listed.push((account.depth, account.id, limits(row)?, counted(row)?));
        }
        accounts.insert(account.id, account);
    }
    listed.sort_by_key(|(depth, id, ..)| (*depth, *id));
    let line = |(_, id, limits, counts)| Ok(Lined { line: line_of(id, &accounts)?, limits, counts });
    listed.into_iter().map(line).collect()
}

/// The limits of a tree, of a row with its columns.
pub(crate) fn limits(row: &Row) -> Result<Limits> {
    Ok(Limits {
        max_depth: row.optional_count("max_depth")?,
        max_children: row.optional_count("max_children")?,
        super_organization: row.bool("super_organization")?,
    })
}

/// How large a subtree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubtreeSize {
    /// How many accounts, the top included.
    pub accounts: i64,
    /// How many levels: 1 for a single account.
    pub height: u32,
}

/// The accounts named and all their ancestors, in one query.
pub(crate) async fn with_ancestors(
    conn: &mut Conn,
    ids: [Option<AccountId>; 4],
) -> Result<BTreeMap<AccountId, Account>> {
    let [a, b, c, d] = ids;
    let rows = conn
        .all(
            concat!(
                "WITH RECURSIVE line (id, parent_id) AS (\
                   SELECT id, parent_id FROM account WHERE id IN ($1, $2, $3, $4) \
                   UNION SELECT p.id, p.parent_id FROM account p JOIN line ON p.id = line.parent_id) \
                 SELECT ",
                account_columns!(),
                " FROM line JOIN account a ON a.id = line.id"
            ),
            args![a, b, c, d],
        )
        .await?;
    rows.iter().map(|row| account(row).map(|account| (account.id, account))).collect()
}

/// The key with this hash, whatever its state, its account, the accounts named, and all above them, in one query.
pub(crate) async fn with_key(
    conn: &mut Conn,
    hash: &[u8; 32],
    ids: [Option<AccountId>; 3],
) -> Result<(Option<Key>, BTreeMap<AccountId, Account>)> {
    let [a, b, c] = ids;
    let rows = conn
        .all(
            concat!(
                "WITH RECURSIVE line (id, parent_id) AS (\
                   SELECT id, parent_id FROM account WHERE id IN ($1, $2, $3, (SELECT account_id FROM api_key WHERE hash = $4)) \
                   UNION SELECT p.id, p.parent_id FROM account p JOIN line ON p.id = line.parent_id) \
                 SELECT ",
                account_columns!(),
                ", ",
                key_columns!(),
                " FROM line JOIN account a ON a.id = line.id LEFT JOIN api_key k ON k.hash = $4 AND k.account_id = a.id"
            ),
            args![a, b, c, *hash],
        )
        .await?;
    let mut found = None;
    let mut accounts = BTreeMap::new();
    for row in &rows {
        let account = account(row)?;
        accounts.insert(account.id, account);
        if row.optional_id::<KeyId>("key_id")?.is_some() {
            found = Some(key(row)?);
        }
    }
    Ok((found, accounts))
}

/// The line of `id` out of `accounts`, or `not_found`.
pub(crate) fn line_of(id: AccountId, accounts: &BTreeMap<AccountId, Account>) -> Result<Lineage> {
    if !accounts.contains_key(&id) {
        return Err(Code::NotFound.into());
    }
    Lineage::assemble(id, accounts)
        .ok_or(Error::Inconsistent { column: "account.parent_id", found: format!("a broken line above {id}") })
}

/// Inserts an account as it is.
pub(crate) async fn insert(conn: &mut Conn, new: &Account) -> Result<()> {
    conn.execute(
        "INSERT INTO account (id, parent_id, root_id, parent_depth, child_count, kind, name, email, status, settings, \
           locked_settings, inherit_settings, inherit_admins, inherit_billing_contacts, inherit_audit_policies, \
           billing_contacts, audit_policies, billing_mode, metadata, version, created_at, updated_at, closed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)",
        args![
            new.id,
            new.parent_id,
            new.root_id,
            new.parent_id.map(|_| new.depth - 1),
            new.child_count,
            new.kind.as_str(),
            &new.name,
            &new.email,
            new.status.as_str(),
            settings_json(&new.settings),
            json(&new.locked_settings),
            new.inherits.settings,
            new.inherits.admins,
            new.inherits.billing_contacts,
            new.inherits.audit_policies,
            new.billing_contacts.as_ref().map(json),
            new.audit_policies.as_ref(),
            new.billing_mode.as_str(),
            &new.metadata,
            new.version,
            new.created_at,
            new.updated_at,
            new.closed_at,
        ],
    )
    .await?;
    Ok(())
}

/// Gives a root the row that holds the lock and the limits of its tree.
pub(crate) async fn tree_insert(conn: &mut Conn, root: AccountId, limits: Limits) -> Result<()> {
    conn.execute(
        "INSERT INTO tree (root_id, max_depth, max_children, super_organization, writes) VALUES ($1, $2, $3, $4, 1)",
        args![root, limits.max_depth, limits.max_children, limits.super_organization],
    )
    .await?;
    Ok(())
}

/// Locks the tree of `root`, and reads its limits. `None`: there is no such tree any more.
pub(crate) async fn tree_lock(conn: &mut Conn, root: AccountId) -> Result<Option<Limits>> {
    let row = conn
        .optional(
            "UPDATE tree SET writes = writes + 1 WHERE root_id = $1 \
             RETURNING max_depth, max_children, super_organization",
            args![root],
        )
        .await?;
    row.as_ref().map(limits).transpose()
}

/// Locks the tree that `account` is in when the statement starts; answers its root, to be confirmed under the lock.
pub(crate) async fn tree_lock_of(conn: &mut Conn, account: AccountId) -> Result<Option<(AccountId, Limits)>> {
    let row = conn
        .optional(
            "UPDATE tree SET writes = writes + 1 WHERE root_id = (SELECT root_id FROM account WHERE id = $1) \
             RETURNING root_id, max_depth, max_children, super_organization",
            args![account],
        )
        .await?;
    row.as_ref().map(|row| Ok((row.id("root_id")?, limits(row)?))).transpose()
}

/// The roots of up to two accounts, by account. Read without a lock: to be confirmed under it.
pub(crate) async fn roots(
    conn: &mut Conn,
    at: AccountId,
    with: Option<AccountId>,
) -> Result<BTreeMap<AccountId, AccountId>> {
    let rows = conn.all("SELECT id, root_id FROM account WHERE id IN ($1, $2)", args![at, with]).await?;
    rows.iter().map(|row| Ok((row.id("id")?, row.id("root_id")?))).collect()
}

async fn child_count_add(conn: &mut Conn, parent: AccountId, delta: i64) -> Result<()> {
    conn.execute("UPDATE account SET child_count = child_count + $2 WHERE id = $1", args![parent, delta]).await?;
    Ok(())
}

impl TenantWrite {
    /// Inserts a child of the account that this transaction was opened for.
    pub async fn child_insert(&mut self, child: &Account) -> Result<()> {
        let parent = self.account().id;
        if child.parent_id != Some(parent) {
            return Err(Refusal::from(Code::NotFound).into());
        }
        insert(&mut self.conn, child).await?;
        self.about().account = child.id;
        self.about().parents = [Some(parent), None];
        child_count_add(&mut self.conn, parent, 1).await
    }

    /// Writes the account's own fields (not its place, not its status).
    pub async fn account_update(&mut self, changed: &Account) -> Result<()> {
        let id = self.account().id;
        self.conn
            .execute(
                "UPDATE account SET name = $2, email = $3, settings = $4, locked_settings = $5, inherit_settings = $6, \
                   inherit_admins = $7, inherit_billing_contacts = $8, inherit_audit_policies = $9, billing_contacts = $10, \
                   audit_policies = $11, metadata = $12, features = $13, canceled_at = $14, rate_calls = $15, rate_seconds = $16, \
                   in_flight = $17, version = $18, updated_at = $19 WHERE id = $1",
                args![
                    id,
                    &changed.name,
                    &changed.email,
                    settings_json(&changed.settings),
                    json(&changed.locked_settings),
                    changed.inherits.settings,
                    changed.inherits.admins,
                    changed.inherits.billing_contacts,
                    changed.inherits.audit_policies,
                    changed.billing_contacts.as_ref().map(json),
                    changed.audit_policies.as_ref(),
                    &changed.metadata,
                    features_json(&changed.features),
                    changed.canceled_at,
                    changed.call_limits.rate.map(Rate::calls),
                    changed.call_limits.rate.map(Rate::seconds),
                    changed.call_limits.in_flight,
                    changed.version,
                    changed.updated_at,
                ],
            )
            .await?;
        Ok(())
    }

    /// Writes a new status; closing gives the parent its place back.
    pub async fn status_update(&mut self, changed: &Account) -> Result<()> {
        let closes = changed.status == Status::Closed && self.account().status != Status::Closed;
        self.conn
            .execute(
                "UPDATE account SET status = $2, closed_at = $3, version = $4, updated_at = $5 WHERE id = $1",
                args![changed.id, changed.status.as_str(), changed.closed_at, changed.version, changed.updated_at],
            )
            .await?;
        match changed.parent_id {
            Some(parent) if closes => child_count_add(&mut self.conn, parent, -1).await,
            _ => Ok(()),
        }
    }

    /// Puts the account, with its whole subtree, where `moved` says it is now: below the second account that this
    /// transaction was opened for, or at the root of a tree of its own.
    pub async fn place_update(&mut self, moved: &Account, new_tree: Limits) -> Result<()> {
        let before = self.account().clone();
        if moved.parent_id.is_none() {
            tree_insert(&mut self.conn, moved.id, new_tree).await?;
        }
        // The foreign key carries the new depth down the subtree.
        self.conn
            .execute(
                "UPDATE account SET parent_id = $2, parent_depth = $3, root_id = $4, inherit_settings = $5, \
                   billing_mode = $6, version = $7, updated_at = $8 WHERE id = $1",
                args![
                    moved.id,
                    moved.parent_id,
                    moved.parent_id.map(|_| moved.depth - 1),
                    moved.root_id,
                    moved.inherits.settings,
                    moved.billing_mode.as_str(),
                    moved.version,
                    moved.updated_at,
                ],
            )
            .await?;
        if moved.root_id != before.root_id {
            self.conn
                .execute(
                    concat!("UPDATE account SET root_id = $2 WHERE id IN (", with_below!(), "SELECT id FROM below)"),
                    args![moved.id, moved.root_id],
                )
                .await?;
        }
        match before.parent_id {
            Some(parent) => child_count_add(&mut self.conn, parent, -1).await?,
            None => {
                self.conn.execute("DELETE FROM tree WHERE root_id = $1", args![moved.id]).await?;
            }
        }
        if let Some(parent) = moved.parent_id {
            child_count_add(&mut self.conn, parent, 1).await?;
        }
        self.about().parents = [before.parent_id, moved.parent_id];
        self.about().roots.insert(moved.root_id);
        Ok(())
    }

    /// Writes the limits of the tree whose root the account is.
    pub async fn limits_update(&mut self, limits: Limits) -> Result<()> {
        let root = self.account().id;
        self.conn
            .execute(
                "UPDATE tree SET max_depth = $2, max_children = $3, super_organization = $4 WHERE root_id = $1",
                args![root, limits.max_depth, limits.max_children, limits.super_organization],
            )
            .await?;
        Ok(())
    }
}

/// The ids of accounts that were closed before `before`, lowest first, so that a child goes before its parent.
pub(crate) async fn closed_before(conn: &mut Conn, before: Timestamp, limit: i64) -> Result<Vec<AccountId>> {
    let rows = conn
        .all(
            "SELECT a.id FROM account a WHERE a.closed_at < $1 \
               AND NOT EXISTS (SELECT 1 FROM account c WHERE c.parent_id = a.id) ORDER BY a.closed_at, a.id LIMIT $2",
            args![before, limit],
        )
        .await?;
    rows.iter().map(|row| row.id("id")).collect()
}
