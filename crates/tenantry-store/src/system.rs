//! Named doors for scheduled work, which belongs to no caller: each says why it may do what it does.

use tenantry_core::access::Actor;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::{AccountId, AuditId, KeyId, RequestId};
use tenantry_core::time::{Span, Timestamp};
use tenantry_core::{Document, refusal::Code};

use crate::account::{closed_before, line_of, roots, tree_lock, with_ancestors};
use crate::db::args;
use crate::record::{About, AuditEntry, KEEP_ANSWERS, Noted, audit_insert, changelog_append};
use crate::{Result, Store};

/// How long a closed account keeps its data.
pub const RETENTION: Span = Span::days(30);

/// When and from where a key was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The key.
    pub key: KeyId,
    /// When it was last used.
    pub at: Timestamp,
    /// From which address.
    pub ip: Option<String>,
}

/// What belongs to the deployment as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The SHA-256 of the operator token that was made at the first start, if one was.
    pub operator_hash: Option<[u8; 32]>,
    /// Authenticates the cursors of long lists.
    pub cursor_secret: [u8; 32],
}

impl Store {
    /// The deployment's own row, made at the first start from `fresh`; also says whether it was.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn deployment(&self, fresh: &Deployment, now: Timestamp) -> Result<(Deployment, bool)> {
        let mut conn = self.db.begin_write().await?;
        let operator: Option<&[u8]> = fresh.operator_hash.as_ref().map(<[u8; 32]>::as_slice);
        let made = match operator {
            Some(hash) => {
                conn.execute(
                    "INSERT INTO deployment (id, operator_hash, cursor_secret, created_at) VALUES (1, $1, $2, $3) \
                     ON CONFLICT (id) DO UPDATE SET operator_hash = excluded.operator_hash \
                       WHERE deployment.operator_hash IS NULL",
                    args![hash, fresh.cursor_secret, now],
                )
                .await?
            }
            None => {
                conn.execute(
                    "INSERT INTO deployment (id, cursor_secret, created_at) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING",
                    args![fresh.cursor_secret, now],
                )
                .await?
            }
        };
        let row = conn.one("SELECT operator_hash, cursor_secret FROM deployment WHERE id = 1", vec![]).await?;
        let hash = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes.as_slice()).ok();
        let deployment = Deployment {
            operator_hash: row.optional_bytes("operator_hash")?.and_then(hash),
            cursor_secret: hash(row.bytes("cursor_secret")?).unwrap_or(fresh.cursor_secret),
        };
        conn.commit().await?;
        Ok((deployment, made > 0))
    }

    /// Whether the secret that this check is of is the one that the deployment began with; the first one is.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn deployment_secret_is(&self, check: [u8; 32]) -> Result<bool> {
        let mut conn = self.db.begin_write().await?;
        let row = conn
            .one(
                "UPDATE deployment SET secret_check = COALESCE(secret_check, $1) WHERE id = 1 RETURNING secret_check",
                args![check],
            )
            .await?;
        conn.commit().await?;
        Ok(row.bytes("secret_check")? == check)
    }

    /// Notes when keys were last used. Not a change that anybody made, so it leaves no records.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn keys_used(&self, uses: &[KeyUse]) -> Result<()> {
        let mut conn = self.db.begin_write().await?;
        for used in uses {
            conn.execute(
                "UPDATE api_key SET last_used_at = $2, last_used_ip = $3 \
                 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
                args![used.key, used.at, used.ip.as_deref()],
            )
            .await?;
        }
        conn.commit().await
    }

    /// Forgets answers that were kept long enough. Answers how many.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn answers_forget(&self, now: Timestamp) -> Result<u64> {
        let mut conn = self.db.begin_write().await?;
        let forgotten = conn
            .execute(
                "DELETE FROM idempotency WHERE id IN (SELECT id FROM idempotency WHERE created_at <= $1 LIMIT 10000)",
                args![now.minus(KEEP_ANSWERS)],
            )
            .await?;
        conn.commit().await?;
        Ok(forgotten)
    }

    /// Some accounts whose retention period is over, in an order in which they can be purged.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn purgeable(&self, now: Timestamp, limit: i64) -> Result<Vec<AccountId>> {
        let mut conn = self.db.begin_read().await?;
        let ids = closed_before(&mut conn, now.minus(RETENTION), limit).await?;
        conn.commit().await?;
        Ok(ids)
    }

    /// Deletes a closed account whose retention period is over, with all that it owns. Its audit
    /// rows stay: they are the history of the tree.
    ///
    /// Answers false if the account is gone, or is not to be purged (yet).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn account_purge(
        &self,
        id: AccountId,
        now: Timestamp,
        audit: AuditId,
        request: RequestId,
    ) -> Result<bool> {
        let mut conn = self.db.begin_write().await?;
        let Some(root) = roots(&mut conn, id, None).await?.get(&id).copied() else { return Ok(false) };
        if tree_lock(&mut conn, root).await?.is_none() {
            return Ok(false);
        }
        let accounts = with_ancestors(&mut conn, [Some(id), None, None, None]).await?;
        let account = match line_of(id, &accounts) {
            Ok(line) => line.account().clone(),
            Err(crate::Error::Refused(refusal)) if refusal.code == Code::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let due = account.closed_at.is_some_and(|closed| closed < now.minus(RETENTION));
        if !due || account.root_id != root {
            return Ok(false);
        }
        let event = Event::new(EventKind::AccountPurged, id, account.version, Document::empty());
        let entry = AuditEntry {
            id: audit,
            at: now,
            account: id,
            actor: Actor::System,
            parents: [account.parent_id, None],
            subject: None,
            reason: None,
            request,
            ip: None,
        };
        audit_insert(&mut conn, &entry, &event).await?;
        let about = About::account(&account);
        for sql in [
            "DELETE FROM ticket WHERE invitation_id IN (SELECT id FROM invitation WHERE account_id = $1)",
            "DELETE FROM invitation WHERE account_id = $1",
            "DELETE FROM enrollment_link WHERE account_id = $1",
            "DELETE FROM membership WHERE account_id = $1 OR role_id IN (SELECT id FROM role WHERE account_id = $1)",
            "DELETE FROM restriction WHERE account_id = $1",
            "DELETE FROM ip_allowlist WHERE account_id = $1",
            "DELETE FROM role WHERE account_id = $1",
            "DELETE FROM share WHERE to_account = $1 OR resource_id IN (SELECT id FROM resource WHERE account_id = $1)",
            "DELETE FROM resource WHERE account_id = $1",
            "DELETE FROM api_key WHERE account_id = $1",
            "DELETE FROM account WHERE id = $1",
            "DELETE FROM tree WHERE root_id = $1",
        ] {
            conn.execute(sql, args![id]).await?;
        }
        changelog_append(&mut conn, &[Noted { audit, about, event }]).await?;
        conn.commit().await?;
        Ok(true)
    }
}
