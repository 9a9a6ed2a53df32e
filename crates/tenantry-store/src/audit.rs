//! Reading the audit log. Writing it is part of every commit: see [`crate::record`].

use tenantry_core::id::{AccountId, AuditId, KeyId, RequestId, UserId};
use tenantry_core::{Document, Timestamp};

use crate::Result;
use crate::db::{Row, args};
use crate::tenant::TenantRead;

/// One change, as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its id; ids follow time.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub action: String,
    /// The account that changed.
    pub account_id: AccountId,
    /// The thing that changed, by its id.
    pub entity: String,
    /// `operator`, `user`, `key` or `system`.
    pub actor_kind: String,
    /// The account that really acted.
    pub actor_account: Option<AccountId>,
    /// The person who really acted.
    pub actor_user: Option<UserId>,
    /// The key that was used.
    pub actor_key: Option<KeyId>,
    /// The account on whose behalf.
    pub subject: Option<AccountId>,
    /// Why it was done on behalf of another, where that was asked for.
    pub reason: Option<String>,
    /// The request that did it.
    pub request_id: RequestId,
    /// From where.
    pub ip: Option<String>,
    /// What changed.
    pub detail: Document,
}

/// Which rows to list.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Also the logs of all accounts below.
    pub include_descendants: bool,
    /// Only what this account did.
    pub actor: Option<AccountId>,
    /// Only what this person did.
    pub actor_user: Option<UserId>,
    /// Only this action.
    pub action: Option<String>,
    /// Not before this instant.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub to: Option<Timestamp>,
    /// Only rows before this one: where the last page ended.
    pub before: Option<AuditId>,
}

macro_rules! audit_columns {
    () => {
        "a.id, a.at, a.action, a.account_id, a.entity, a.actor_kind, a.actor_account, a.actor_user, a.actor_key, \
         a.subject, a.reason, a.request_id, a.ip, a.detail"
    };
}

macro_rules! audit_filters {
    () => {
        " AND ($2 IS NULL OR a.actor_account = $2) AND ($3 IS NULL OR a.action = $3) AND ($4 IS NULL OR a.at >= $4) \
         AND ($5 IS NULL OR a.at < $5) AND ($6 IS NULL OR a.id < $6) AND ($8 IS NULL OR a.actor_user = $8) \
         ORDER BY a.id DESC LIMIT $7"
    };
}

/// The log of one account.
const OWN: &str = concat!(
    "SELECT ",
    audit_columns!(),
    " FROM audit_log_scope s JOIN audit_log a ON a.id = s.audit_id WHERE s.account_id = $1 AND ($6 IS NULL OR s.audit_id < $6)",
    audit_filters!()
);

/// The logs of an account and of all below it, each row once.
const SUBTREE: &str = concat!(
    "WITH RECURSIVE below (id) AS (SELECT id FROM account WHERE id = $1 \
       UNION ALL SELECT c.id FROM account c JOIN below ON c.parent_id = below.id) \
     SELECT ",
    audit_columns!(),
    " FROM audit_log a WHERE a.id IN (SELECT s.audit_id FROM audit_log_scope s JOIN below ON below.id = s.account_id)",
    audit_filters!()
);

fn audit_row(row: &Row) -> Result<AuditRow> {
    Ok(AuditRow {
        id: row.id("id")?,
        at: row.time("at")?,
        action: row.text("action")?,
        account_id: row.id("account_id")?,
        entity: row.text("entity")?,
        actor_kind: row.text("actor_kind")?,
        actor_account: row.optional_id("actor_account")?,
        actor_user: row.optional_id("actor_user")?,
        actor_key: row.optional_id("actor_key")?,
        subject: row.optional_id("subject")?,
        reason: row.optional_text("reason")?,
        request_id: row.id("request_id")?,
        ip: row.optional_text("ip")?,
        detail: row.document("detail")?,
    })
}

impl TenantRead {
    /// Up to `limit` rows of the account's log, newest first.
    pub async fn audit_list(&mut self, filter: &AuditFilter, limit: i64) -> Result<Vec<AuditRow>> {
        let account = self.account().id;
        let sql = if filter.include_descendants { SUBTREE } else { OWN };
        let rows = self
            .conn
            .all(
                sql,
                args![
                    account,
                    filter.actor,
                    filter.action.as_deref(),
                    filter.from,
                    filter.to,
                    filter.before,
                    limit,
                    filter.actor_user
                ],
            )
            .await?;
        rows.iter().map(audit_row).collect()
    }
}
