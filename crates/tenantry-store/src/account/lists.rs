//! Accounts as they are listed: with their lines, level by level, page by page.

use tenantry_core::account::{Account, Status};
use tenantry_core::id::{AccountId, UserId};
use tenantry_core::lineage::Lineage;

use super::{
    Child, Lined, SubtreeSize, account, account_columns, counted, counts, limits, lined, with_ancestors, with_below,
    with_lines,
};
use crate::db::{Row, args};
use crate::tenant::TenantRead;
use crate::{Page, Paged, Result};

impl TenantRead {
    /// The account as it appears in lists.
    pub async fn lined(&mut self) -> Result<Lined> {
        let (id, root) = (self.account().id, self.account().root_id);
        let row = self
            .conn
            .one(
                concat!(
                    "SELECT t.max_depth, t.max_children, t.super_organization, ",
                    counts!(),
                    " FROM tree t JOIN account a ON a.id = $1 WHERE t.root_id = $2"
                ),
                args![id, root],
            )
            .await?;
        Ok(Lined { line: self.line().clone(), limits: limits(&row)?, counts: counted(&row)? })
    }

    /// The accounts that a user is a member of, with all that they inherit, oldest first.
    pub async fn accounts_of(&mut self, user: UserId, status: Option<Status>, page: Page) -> Result<Paged<Lined>> {
        let status = status.map(Status::as_str);
        let total = self
            .conn
            .one(
                "SELECT COUNT(*) AS n FROM membership m JOIN account a ON a.id = m.account_id \
                 WHERE m.user_id = $1 AND ($2 IS NULL OR a.status = $2)",
                args![user, status],
            )
            .await?
            .int("n")?;
        let rows = self
            .conn
            .all(
                with_lines!(
                    "SELECT a.id FROM membership m JOIN account a ON a.id = m.account_id \
                     WHERE m.user_id = $1 AND ($2 IS NULL OR a.status = $2) ORDER BY a.id LIMIT $3 OFFSET $4"
                ),
                args![user, status, page.limit, page.offset],
            )
            .await?;
        let mut rows = lined(&rows)?;
        rows.sort_by_key(|row| row.line.account().id);
        Ok(Paged { rows, total })
    }

    /// The children, oldest first.
    pub async fn children(&mut self, status: Option<Status>, page: Page) -> Result<Paged<Child>> {
        let (parent, status) = (self.account().id, status.map(Status::as_str));
        let child = |row: &Row| Ok(Child { account: account(row)?, counts: counted(row)? });
        self.conn
            .page(
                "SELECT COUNT(*) AS n FROM account WHERE parent_id = $1 AND ($2 IS NULL OR status = $2)",
                concat!(
                    "SELECT ",
                    account_columns!(),
                    ", ",
                    counts!(),
                    " FROM account a WHERE a.parent_id = $1 AND ($2 IS NULL OR a.status = $2) \
                     ORDER BY a.id LIMIT $3 OFFSET $4"
                ),
                args![parent, status],
                page,
                child,
            )
            .await
    }

    /// All children with all that they inherit, oldest first.
    pub async fn children_lined(&mut self) -> Result<Vec<Lined>> {
        let parent = self.account().id;
        let rows = self.conn.all(with_lines!("SELECT id FROM account WHERE parent_id = $1"), args![parent]).await?;
        lined(&rows)
    }

    /// The accounts above that the caller can see, root first.
    pub async fn ancestors(&mut self) -> Result<Vec<Lined>> {
        let account = self.account().id;
        let rows = self
            .conn
            .all(
                with_lines!(
                    "WITH RECURSIVE up (id) AS (\
                       SELECT parent_id FROM account WHERE id = $1 AND parent_id IS NOT NULL \
                       UNION ALL SELECT a.parent_id FROM account a JOIN up ON a.id = up.id WHERE a.parent_id IS NOT NULL) \
                     SELECT id FROM up"
                ),
                args![account],
            )
            .await?;
        let mut ancestors = lined(&rows)?;
        let caller = self.caller();
        ancestors.retain(|ancestor| caller.sees(&ancestor.line));
        Ok(ancestors)
    }

    /// The line of another account, if the caller can see it.
    pub async fn visible(&mut self, id: AccountId) -> Result<Option<Lineage>> {
        let accounts = with_ancestors(&mut self.conn, [Some(id), None, None, None]).await?;
        let line = Lineage::assemble(id, &accounts);
        Ok(line.filter(|line| self.caller().sees(line)))
    }

    /// Everything below the account, level by level, oldest first.
    pub async fn descendants(&mut self, status: Option<Status>, page: Page) -> Result<Paged<Lined>> {
        let (top, status) = (self.account().id, status.map(Status::as_str));
        let total = self
            .conn
            .one(
                concat!(
                    with_below!(),
                    "SELECT COUNT(*) AS n FROM below JOIN account a ON a.id = below.id WHERE ($2 IS NULL OR a.status = $2)"
                ),
                args![top, status],
            )
            .await?
            .int("n")?;
        let rows = self
            .conn
            .all(
                with_lines!(concat!(
                    with_below!(),
                    "SELECT a.id FROM below JOIN account a ON a.id = below.id WHERE ($2 IS NULL OR a.status = $2) \
                     ORDER BY a.depth, a.id LIMIT $3 OFFSET $4"
                )),
                args![top, status, page.limit, page.offset],
            )
            .await?;
        Ok(Paged { rows: lined(&rows)?, total })
    }

    /// Up to `limit` accounts below the account, level by level, oldest first.
    pub async fn subtree(&mut self, limit: i64) -> Result<Vec<Account>> {
        let top = self.account().id;
        let rows = self
            .conn
            .all(
                concat!(
                    with_below!(),
                    "SELECT ",
                    account_columns!(),
                    " FROM below JOIN account a ON a.id = below.id ORDER BY a.depth, a.id LIMIT $2"
                ),
                args![top, limit],
            )
            .await?;
        rows.iter().map(account).collect()
    }

    /// The account and what is below it.
    pub async fn subtree_size(&mut self) -> Result<SubtreeSize> {
        let (id, depth) = (self.account().id, self.account().depth);
        let row = self
            .conn
            .one(
                concat!(
                    with_below!(),
                    "SELECT COUNT(*) AS n, MAX(a.depth) AS deepest FROM below JOIN account a ON a.id = below.id"
                ),
                args![id],
            )
            .await?;
        let deepest = row.optional_count("deepest")?.unwrap_or(depth);
        Ok(SubtreeSize { accounts: row.int("n")? + 1, height: deepest - depth + 1 })
    }
}
