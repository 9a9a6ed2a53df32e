//! Resources, and who shares in them.

use tenantry_core::id::{AccountId, ResourceId, ShareId};
use tenantry_core::{Document, Timestamp};

use crate::db::{Row, args};
use crate::tenant::{TenantRead, TenantWrite};
use crate::{Page, Paged, Result};

/// A typed thing that an account owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// Its owner.
    pub account_id: AccountId,
    /// What kind of thing: `device`, `voice`, …
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// Its id in the owner's own system.
    pub external_id: Option<String>,
    /// Whatever its owner keeps with it.
    pub metadata: Document,
    /// Counts its changes.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The grant of a resource to accounts below its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Its id.
    pub id: ShareId,
    /// What is shared.
    pub resource_id: ResourceId,
    /// With whom; the owner itself stands for all of its descendants.
    pub to: AccountId,
    /// Since when.
    pub created_at: Timestamp,
}

/// Which resources to list.
#[derive(Debug, Clone, Default)]
pub struct ResourceFilter {
    /// Only of this kind.
    pub kind: Option<String>,
    /// Also those that accounts above share with this one.
    pub include_shared: bool,
}

macro_rules! resource_columns {
    () => {
        "r.id, r.account_id, r.kind, r.name, r.external_id, r.metadata, r.version, r.created_at, r.updated_at"
    };
}

/// `$1` owns the resource, or (if `$3`) an account above it does and shares it with `$1`.
macro_rules! visible {
    () => {
        "FROM resource r WHERE ($2 IS NULL OR r.kind = $2) AND (r.account_id = $1 OR ($3 AND r.account_id IN (\
           WITH RECURSIVE up (id, parent_id) AS (\
             SELECT id, parent_id FROM account WHERE id = $1 \
             UNION ALL SELECT a.id, a.parent_id FROM account a JOIN up ON a.id = up.parent_id) \
           SELECT id FROM up WHERE id <> $1) \
         AND EXISTS (SELECT 1 FROM share s WHERE s.resource_id = r.id AND s.to_account IN ($1, r.account_id))))"
    };
}

fn resource(row: &Row) -> Result<Resource> {
    Ok(Resource {
        id: row.id("id")?,
        account_id: row.id("account_id")?,
        kind: row.text("kind")?,
        name: row.text("name")?,
        external_id: row.optional_text("external_id")?,
        metadata: row.document("metadata")?,
        version: row.int("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn share(row: &Row) -> Result<Share> {
    Ok(Share {
        id: row.id("id")?,
        resource_id: row.id("resource_id")?,
        to: row.id("to_account")?,
        created_at: row.time("created_at")?,
    })
}

impl TenantRead {
    /// The resources that the account owns, and those shared with it if asked, oldest first.
    pub async fn resource_list(&mut self, filter: &ResourceFilter, page: Page) -> Result<Paged<Resource>> {
        let (account, kind) = (self.account().id, filter.kind.as_deref());
        self.conn
            .page(
                concat!("SELECT COUNT(*) AS n ", visible!()),
                concat!("SELECT ", resource_columns!(), " ", visible!(), " ORDER BY r.id LIMIT $4 OFFSET $5"),
                args![account, kind, filter.include_shared],
                page,
                resource,
            )
            .await
    }

    /// A resource that the account owns or that is shared with it.
    pub async fn resource_visible(&mut self, id: ResourceId) -> Result<Option<Resource>> {
        let account = self.account().id;
        let row = self
            .conn
            .optional(
                concat!("SELECT ", resource_columns!(), " ", visible!(), " AND r.id = $4"),
                args![account, None::<&str>, true, id],
            )
            .await?;
        row.as_ref().map(resource).transpose()
    }

    /// A resource that the account owns.
    pub async fn resource_owned(&mut self, id: ResourceId) -> Result<Option<Resource>> {
        let account = self.account().id;
        let row = self
            .conn
            .optional(
                concat!("SELECT ", resource_columns!(), " FROM resource r WHERE r.account_id = $1 AND r.id = $2"),
                args![account, id],
            )
            .await?;
        row.as_ref().map(resource).transpose()
    }

    /// With whom a resource of the account is shared, oldest first.
    pub async fn share_list(&mut self, id: ResourceId, page: Page) -> Result<Paged<Share>> {
        let account = self.account().id;
        self.conn
            .page(
                "SELECT COUNT(*) AS n FROM share s JOIN resource r ON r.id = s.resource_id \
                 WHERE r.account_id = $1 AND s.resource_id = $2",
                "SELECT s.id, s.resource_id, s.to_account, s.created_at FROM share s JOIN resource r ON r.id = s.resource_id \
                 WHERE r.account_id = $1 AND s.resource_id = $2 ORDER BY s.id LIMIT $3 OFFSET $4",
                args![account, id],
                page,
                share,
            )
            .await
    }
}

impl TenantWrite {
    /// Stores a resource of the account.
    pub async fn resource_insert(&mut self, new: &Resource) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "INSERT INTO resource (id, account_id, kind, name, external_id, metadata, version, created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                args![
                    new.id,
                    account,
                    &new.kind,
                    &new.name,
                    new.external_id.clone(),
                    &new.metadata,
                    new.version,
                    new.created_at,
                    new.updated_at,
                ],
            )
            .await?;
        Ok(())
    }

    /// Writes a changed resource of the account.
    pub async fn resource_update(&mut self, changed: &Resource) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "UPDATE resource SET name = $3, external_id = $4, metadata = $5, version = $6, updated_at = $7 \
                 WHERE account_id = $1 AND id = $2",
                args![
                    account,
                    changed.id,
                    &changed.name,
                    changed.external_id.clone(),
                    &changed.metadata,
                    changed.version,
                    changed.updated_at,
                ],
            )
            .await?;
        Ok(())
    }

    /// Deletes a resource of the account, and its shares.
    pub async fn resource_delete(&mut self, id: ResourceId) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "DELETE FROM share WHERE resource_id IN (SELECT id FROM resource WHERE account_id = $1 AND id = $2)",
                args![account, id],
            )
            .await?;
        self.conn.execute("DELETE FROM resource WHERE account_id = $1 AND id = $2", args![account, id]).await?;
        Ok(())
    }

    /// Shares a resource of the account. Answers the share that was there already, if there was one.
    pub async fn share_insert(&mut self, new: &Share) -> Result<Option<Share>> {
        let account = self.account().id;
        let there = self
            .conn
            .optional(
                "SELECT s.id, s.resource_id, s.to_account, s.created_at FROM share s JOIN resource r ON r.id = s.resource_id \
                 WHERE r.account_id = $1 AND s.resource_id = $2 AND s.to_account = $3",
                args![account, new.resource_id, new.to],
            )
            .await?;
        if let Some(row) = there {
            return share(&row).map(Some);
        }
        self.conn
            .execute(
                "INSERT INTO share (id, resource_id, to_account, created_at) \
                 SELECT $1, r.id, $4, $5 FROM resource r WHERE r.account_id = $2 AND r.id = $3",
                args![new.id, account, new.resource_id, new.to, new.created_at],
            )
            .await?;
        Ok(None)
    }

    /// Takes a share of a resource of the account back; answers what it was.
    pub async fn share_delete(&mut self, resource: ResourceId, id: ShareId) -> Result<Option<Share>> {
        let account = self.account().id;
        let row = self
            .conn
            .optional(
                "DELETE FROM share WHERE id = $3 AND resource_id IN (SELECT id FROM resource WHERE account_id = $1 AND id = $2) \
                 RETURNING id, resource_id, to_account, created_at",
                args![account, resource, id],
            )
            .await?;
        row.as_ref().map(share).transpose()
    }
}
