//! API keys. Only hashes of their texts are ever stored.

use tenantry_core::id::KeyId;
use tenantry_core::key::{Key, MAX_LIVE_KEYS};
use tenantry_core::permission::{Permission, PermissionSet};
use tenantry_core::refusal::Code;
use tenantry_core::{Refusal, Timestamp};

use crate::account::json;
use crate::db::{Conn, Row, args};
use crate::tenant::{TenantRead, TenantWrite};
use crate::{Error, Page, Paged, Result};

macro_rules! key_columns {
    () => {
        "id, account_id, name, environment, last_four, scopes, created_at, expires_at, revoked_at, last_used_at, \
         last_used_ip, rotated_from"
    };
}

fn key(row: &Row) -> Result<Key> {
    Ok(Key {
        id: row.id("id")?,
        account_id: row.id("account_id")?,
        name: row.text("name")?,
        environment: row.word("environment")?,
        last_four: row.text("last_four")?,
        scopes: row.optional_json("scopes")?.map(scopes).transpose()?,
        created_at: row.time("created_at")?,
        expires_at: row.optional_time("expires_at")?,
        revoked_at: row.optional_time("revoked_at")?,
        last_used_at: row.optional_time("last_used_at")?,
        last_used_ip: row.optional_text("last_used_ip")?,
        rotated_from: row.optional_id("rotated_from")?,
    })
}

fn scopes(names: Vec<String>) -> Result<PermissionSet> {
    let parse =
        |name: String| name.parse::<Permission>().map_err(|_| Error::Inconsistent { column: "scopes", found: name });
    names.into_iter().map(parse).collect()
}

/// A key to be stored, with the SHA-256 of its text.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The record.
    pub key: Key,
    /// The hash.
    pub hash: [u8; 32],
}

/// The key with this hash, whatever its state.
pub(crate) async fn by_hash(conn: &mut Conn, hash: &[u8; 32]) -> Result<Option<Key>> {
    let row = conn.optional(concat!("SELECT ", key_columns!(), " FROM api_key WHERE hash = $1"), args![*hash]).await?;
    row.as_ref().map(key).transpose()
}

impl TenantRead {
    /// The keys of the account, oldest first.
    pub async fn key_list(&mut self, page: Page) -> Result<Paged<Key>> {
        let account = self.account().id;
        let total =
            self.conn.one("SELECT COUNT(*) AS n FROM api_key WHERE account_id = $1", args![account]).await?.int("n")?;
        let rows = self
            .conn
            .all(
                concat!(
                    "SELECT ",
                    key_columns!(),
                    " FROM api_key WHERE account_id = $1 ORDER BY id LIMIT $2 OFFSET $3"
                ),
                args![account, page.limit, page.offset],
            )
            .await?;
        Ok(Paged { rows: rows.iter().map(key).collect::<Result<_>>()?, total })
    }

    /// A key of the account.
    pub async fn key_by_id(&mut self, id: KeyId) -> Result<Option<Key>> {
        let account = self.account().id;
        let row = self
            .conn
            .optional(
                concat!("SELECT ", key_columns!(), " FROM api_key WHERE account_id = $1 AND id = $2"),
                args![account, id],
            )
            .await?;
        row.as_ref().map(key).transpose()
    }
}

impl TenantWrite {
    /// Stores a key of the account, unless it has too many live ones.
    pub async fn key_insert(&mut self, new: &NewKey) -> Result<()> {
        let account = self.account().id;
        let live = self
            .conn
            .one(
                "SELECT COUNT(*) AS n FROM api_key WHERE account_id = $1 AND revoked_at IS NULL \
                   AND (expires_at IS NULL OR expires_at > $2)",
                args![account, new.key.created_at],
            )
            .await?
            .int("n")?;
        if live >= MAX_LIVE_KEYS {
            return Err(Refusal::new(
                Code::KeysExceeded,
                format!("The account has {live} live keys of at most {MAX_LIVE_KEYS}."),
            )
            .into());
        }
        let key = &new.key;
        let scopes: Option<Vec<_>> = key.scopes.map(|set| set.iter().map(Permission::as_str).collect());
        self.conn
            .execute(
                "INSERT INTO api_key (id, account_id, name, environment, last_four, hash, scopes, created_at, expires_at, \
                   rotated_from) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                args![
                    key.id,
                    account,
                    &key.name,
                    key.environment.as_str(),
                    &key.last_four,
                    new.hash,
                    scopes.as_ref().map(json),
                    key.created_at,
                    key.expires_at,
                    key.rotated_from,
                ],
            )
            .await?;
        Ok(())
    }

    /// Sets when a key of the account ends.
    pub async fn key_end(
        &mut self,
        id: KeyId,
        expires_at: Option<Timestamp>,
        revoked_at: Option<Timestamp>,
    ) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "UPDATE api_key SET expires_at = $3, revoked_at = $4 WHERE account_id = $1 AND id = $2",
                args![account, id, expires_at, revoked_at],
            )
            .await?;
        Ok(())
    }
}
