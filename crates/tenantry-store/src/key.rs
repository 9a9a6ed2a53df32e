//! API keys. Only hashes of their texts are ever stored.

use tenantry_core::access::{Bearer, Caller};
use tenantry_core::id::{KeyId, UserId};
use tenantry_core::key::{Key, MAX_LIVE_KEYS};
use tenantry_core::limit::{CallLimits, Rate};
use tenantry_core::permission::{Permission, PermissionSet};
use tenantry_core::refusal::Code;
use tenantry_core::{Refusal, Timestamp};

use crate::account::json;
use crate::db::{Row, args};
use crate::limit::limits;
use crate::membership::people;
use crate::rule::{networks, networks_json, rules_of};
use crate::tenant::{TenantRead, TenantWrite};
use crate::{Error, Page, Paged, Result};

/// The columns that [`key`] reads, of a table called `k`. Their names are those of no other table.
macro_rules! key_columns {
    () => {
        "k.id AS key_id, k.account_id AS key_account, k.user_id AS key_user, k.maker_id, k.name AS key_name, k.environment, \
         k.last_four, k.scopes, k.created_at AS key_created_at, k.expires_at, k.revoked_at, k.last_used_at, k.last_used_ip, \
         k.rotated_from, k.networks AS key_networks, k.rate_calls AS key_rate_calls, k.rate_seconds AS key_rate_seconds, \
         k.in_flight AS key_in_flight"
    };
}
pub(crate) use key_columns;

pub(crate) fn key(row: &Row) -> Result<Key> {
    Ok(Key {
        id: row.id("key_id")?,
        account_id: row.id("key_account")?,
        user_id: row.optional_id("key_user")?,
        maker_id: row.optional_id("maker_id")?,
        name: row.text("key_name")?,
        environment: row.word("environment")?,
        last_four: row.text("last_four")?,
        scopes: row.optional_json("scopes")?.map(scopes).transpose()?,
        networks: row.optional_json::<Vec<String>>("key_networks")?.map(|texts| networks(&texts)).transpose()?,
        limits: limits(row, ["key_rate_calls", "key_rate_seconds", "key_in_flight"])?,
        created_at: row.time("key_created_at")?,
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

impl TenantRead {
    /// The keys of the account, oldest first; only those of one member, if one is given.
    pub async fn key_list(&mut self, of: Option<UserId>, page: Page) -> Result<Paged<Key>> {
        let account = self.account().id;
        self.conn
            .page(
                "SELECT COUNT(*) AS n FROM api_key WHERE account_id = $1 AND ($2 IS NULL OR user_id = $2)",
                concat!(
                    "SELECT ",
                    key_columns!(),
                    " FROM api_key k WHERE k.account_id = $1 AND ($2 IS NULL OR k.user_id = $2) \
                     ORDER BY k.id LIMIT $3 OFFSET $4"
                ),
                args![account, of],
                page,
                key,
            )
            .await
    }

    /// A key of the account; only one of this member, if one is given.
    pub async fn key_by_id(&mut self, id: KeyId, of: Option<UserId>) -> Result<Option<Key>> {
        let account = self.account().id;
        let row = self
            .conn
            .optional(
                concat!(
                    "SELECT ",
                    key_columns!(),
                    " FROM api_key k WHERE k.account_id = $1 AND k.id = $2 AND ($3 IS NULL OR k.user_id = $3)"
                ),
                args![account, id, of],
            )
            .await?;
        row.as_ref().map(key).transpose()
    }
}

impl TenantRead {
    /// What a key of this account, or of one above it, may do here now. Nothing, if it does not work any more.
    pub async fn rights_of_key(&mut self, id: KeyId, now: Timestamp) -> Result<PermissionSet> {
        let row = self
            .conn
            .optional(concat!("SELECT ", key_columns!(), " FROM api_key k WHERE k.id = $1"), args![id])
            .await?;
        let Some(found) = row.as_ref().map(key).transpose()? else { return Ok(PermissionSet::NONE) };
        let Some(line) = self.line().up_to(found.account_id) else { return Ok(PermissionSet::NONE) };
        let here = self.account().id;
        let people = people(&mut self.conn, found.people(), [Some(here), None, None, None]).await?;
        let line_accounts = self.line().iter().map(|account| (account.id, account.clone())).collect();
        let rules = rules_of(&mut self.conn, &line_accounts).await?;
        let caller = Caller::admit(Bearer::Key { key: &found, line: &line, people }, None, rules, now);
        Ok(caller.map_or(PermissionSet::NONE, |caller| caller.rights_over(self.line())))
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
                "INSERT INTO api_key (id, account_id, user_id, maker_id, name, environment, last_four, hash, scopes, \
                   created_at, expires_at, rotated_from, networks, rate_calls, rate_seconds, in_flight) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
                args![
                    key.id,
                    account,
                    key.user_id,
                    key.maker_id,
                    &key.name,
                    key.environment.as_str(),
                    &key.last_four,
                    new.hash,
                    scopes.as_ref().map(json),
                    key.created_at,
                    key.expires_at,
                    key.rotated_from,
                    key.networks.as_ref().map(networks_json),
                    key.limits.rate.map(Rate::calls),
                    key.limits.rate.map(Rate::seconds),
                    key.limits.in_flight,
                ],
            )
            .await?;
        Ok(())
    }

    /// Writes what the calls with a key of the account are limited to.
    pub async fn key_limits_update(&mut self, id: KeyId, limits: CallLimits) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "UPDATE api_key SET rate_calls = $3, rate_seconds = $4, in_flight = $5 WHERE account_id = $1 AND id = $2",
                args![account, id, limits.rate.map(Rate::calls), limits.rate.map(Rate::seconds), limits.in_flight],
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
