//! The operator's own door: what belongs to no account.

use tenantry_core::access::{Bearer, Caller};
use tenantry_core::account::{Account, Status};
use tenantry_core::event::{Event, Revision};
use tenantry_core::refusal::Code;

use crate::account::{Lined, insert, lined, tree_insert, with_lines};
use crate::db::{Conn, args};
use crate::record::{About, Answer, kept_answer, record};
use crate::tenant::{Credential, Visit};
use crate::{Error, Page, Paged, Result, Store};

/// A transaction of the operator over all trees, for reading.
pub struct OperatorRead {
    conn: Conn,
}

/// A transaction of the operator that makes a new tree.
pub struct OperatorWrite {
    conn: Conn,
    visit: Visit,
    caller: Caller,
    about: About,
}

fn admit(visit: &Visit) -> Result<Caller> {
    if visit.credential != Credential::Operator || visit.assume.is_some() {
        return Err(Code::OperatorOnly.into());
    }
    Ok(Caller::admit(Bearer::Operator, None, visit.now)?)
}

impl Store {
    /// Opens all trees for reading.
    ///
    /// # Errors
    /// `operator_only`.
    pub async fn read_everything(&self, visit: &Visit) -> Result<OperatorRead> {
        admit(visit)?;
        Ok(OperatorRead { conn: self.db.begin_read().await? })
    }

    /// Opens a transaction that makes a tree with `root` at its top.
    ///
    /// # Errors
    /// `operator_only`; [`Error::Answered`] if this request was answered before.
    pub async fn write_root(&self, visit: &Visit, root: &Account) -> Result<OperatorWrite> {
        let caller = admit(visit)?;
        let mut conn = self.db.begin_write().await?;
        if let Some(answer) = kept_answer(&mut conn, visit).await? {
            return Err(Error::Answered(answer));
        }
        tree_insert(&mut conn, root.id, self.default_limits).await?;
        insert(&mut conn, root).await?;
        Ok(OperatorWrite { conn, visit: visit.clone(), caller, about: About::account(root) })
    }
}

impl OperatorRead {
    /// All accounts: a page in the order of their ids, which is oldest first.
    pub async fn account_list(&mut self, status: Option<Status>, page: Page) -> Result<Paged<Lined>> {
        let status = status.map(Status::as_str);
        let total = self
            .conn
            .one("SELECT COUNT(*) AS n FROM account WHERE ($1 IS NULL OR status = $1)", args![status])
            .await?
            .int("n")?;
        let rows = self
            .conn
            .all(
                with_lines!("SELECT id FROM account WHERE ($1 IS NULL OR status = $1) ORDER BY id LIMIT $2 OFFSET $3"),
                args![status, page.limit, page.offset],
            )
            .await?;
        let mut rows = lined(&rows)?;
        rows.sort_by_key(|row| row.line.account().id);
        Ok(Paged { rows, total })
    }

    /// Ends the transaction.
    ///
    /// # Errors
    /// If the database went away.
    pub async fn finish(self) -> Result<()> {
        self.conn.commit().await
    }
}

impl OperatorWrite {
    /// Commits the new tree with its records; see [`crate::tenant::TenantWrite::commit`].
    ///
    /// # Errors
    /// `idempotency_in_flight` if the same request is being answered elsewhere.
    pub async fn commit(mut self, event: &Event, answer: Option<Answer>) -> Result<Vec<Revision>> {
        let revisions = record(&mut self.conn, &self.visit, &self.caller, &self.about, event, answer).await?;
        self.conn.commit().await?;
        Ok(revisions)
    }

    /// Ends the transaction without a change.
    ///
    /// # Errors
    /// If the database went away.
    pub async fn abandon(self) -> Result<()> {
        self.conn.rollback().await
    }
}
