//! Usage, added up: how it gets in, exactly once, and how it is asked about.
//!
//! It is kept by lines of accounts, not by accounts: a line is an account with those that were above it when it was used. So
//! what was used below an account is a join, and stays what it was when accounts move.

mod apply;

use std::collections::BTreeMap;

use tenantry_core::id::{AccountId, EndpointId, Id as _, KeyId, UserId};
use tenantry_core::time::Timestamp;
use tenantry_core::usage::{Granularity, Grouping, Period, Sums};

use crate::Result;
use crate::db::{Arg, Row, args};
use crate::tenant::TenantRead;

pub use apply::UsageRun;

/// What stands for a user where it was nobody's key. No id is all zero.
const NOBODY: [u8; 16] = [0; 16];

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct UsageQuery {
    /// About when, in whole parts.
    pub period: Period,
    /// In which parts.
    pub granularity: Granularity,
    /// Told apart by what. By the hour, users and keys are not known.
    pub grouping: Option<Grouping>,
    /// Also what was used on behalf of accounts that were below at that time.
    pub include_descendants: bool,
    /// Only what keys of this user did; not by the hour, either.
    pub of: Option<UserId>,
}

/// What usage was told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsageGroup {
    /// Nothing.
    All,
    /// The account that was called for.
    Account(AccountId),
    /// The person whose key was used; `None` if it was nobody's.
    User(Option<UserId>),
    /// The key.
    Key(KeyId),
    /// The API.
    Api(String),
    /// The endpoint, with its API.
    Endpoint(EndpointId, String),
}

/// What was used in one part of the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// When the part begins.
    pub at: Timestamp,
    /// By what or whom.
    pub group: UsageGroup,
    /// How much.
    pub sums: Sums,
}

/// The sums of one table by parts of a period and by some columns. Its arguments are the account above, the first instant and
/// the first behind, the length of a part, the first and the last of the accounts that were called for, how many rows, and
/// the user, where the table knows users.
macro_rules! sums {
    ($table:literal, $time:literal, $only:literal, [$($column:literal)?], $by:literal) => {
        concat!(
            "SELECT (u.", $time, " - $2) / $4 AS part", $(", ", $column,)?
            ", CAST(SUM(u.calls) AS BIGINT) AS calls, CAST(SUM(u.failures) AS BIGINT) AS failures, \
             CAST(SUM(u.credits) AS BIGINT) AS credits \
             FROM usage_line l JOIN ", $table, " u ON u.line_id = l.line_id \
             WHERE l.ancestor_id = $1 AND l.account_id BETWEEN $5 AND $6 AND u.", $time, " >= $2 AND u.", $time, " < $3", $only,
            " GROUP BY ", $by, " ORDER BY ", $by, " LIMIT $7"
        )
    };
}

macro_rules! by_endpoint {
    ($columns:tt, $by:literal) => {
        sums!("usage_by_endpoint", "hour", "", $columns, $by)
    };
}

macro_rules! by_user {
    ($columns:tt, $by:literal) => {
        sums!("usage_by_user", "day", " AND ($8 IS NULL OR u.user_id = $8)", $columns, $by)
    };
}

macro_rules! by_key {
    ($columns:tt, $by:literal) => {
        sums!("usage_by_key", "day", " AND ($8 IS NULL OR u.user_id = $8)", $columns, $by)
    };
}

impl UsageQuery {
    /// The statement, and whether it takes a user: the smallest table that has the answer.
    fn statement(&self) -> (&'static str, bool) {
        let of_user = self.of.is_some();
        match self.grouping {
            None if self.granularity == Granularity::Hour => (by_endpoint!([], "1"), false),
            None => (by_user!([], "1"), true),
            Some(Grouping::Account) if self.granularity == Granularity::Hour => {
                (by_endpoint!(["l.account_id"], "1, l.account_id"), false)
            }
            Some(Grouping::Account) => (by_user!(["l.account_id"], "1, l.account_id"), true),
            Some(Grouping::User) => (by_user!(["u.user_id"], "1, u.user_id"), true),
            Some(Grouping::Key) => (by_key!(["u.key_id"], "1, u.key_id"), true),
            Some(Grouping::Api) if of_user => (by_key!(["u.api_id"], "1, u.api_id"), true),
            Some(Grouping::Api) => (by_endpoint!(["u.api_id"], "1, u.api_id"), false),
            Some(Grouping::Endpoint) if of_user => {
                (by_key!(["u.endpoint_id, u.api_id"], "1, u.endpoint_id, u.api_id"), true)
            }
            Some(Grouping::Endpoint) => {
                (by_endpoint!(["u.endpoint_id, u.api_id"], "1, u.endpoint_id, u.api_id"), false)
            }
        }
    }

    fn group(&self, row: &Row) -> Result<UsageGroup> {
        Ok(match self.grouping {
            None => UsageGroup::All,
            Some(Grouping::Account) => UsageGroup::Account(row.id("account_id")?),
            Some(Grouping::User) => {
                let user: UserId = row.id("user_id")?;
                UsageGroup::User((user.bytes() != NOBODY).then_some(user))
            }
            Some(Grouping::Key) => UsageGroup::Key(row.id("key_id")?),
            Some(Grouping::Api) => UsageGroup::Api(row.text("api_id")?),
            Some(Grouping::Endpoint) => UsageGroup::Endpoint(row.id("endpoint_id")?, row.text("api_id")?),
        })
    }
}

impl TenantRead {
    /// What was used on behalf of the account, in the order of time; up to `limit` rows. Where nothing was used there is none.
    pub async fn usage(&mut self, query: &UsageQuery, limit: i64) -> Result<Vec<UsageRow>> {
        let account = self.account().id;
        let ends = if query.include_descendants { [[0; 16], [0xff; 16]] } else { [account.bytes(); 2] };
        let [first, last] = ends.map(AccountId::from_bytes);
        let (statement, takes_user) = query.statement();
        let mut found = Vec::new();
        for (piece, part) in query.period.pieces(query.granularity) {
            let left = limit - i64::try_from(found.len()).unwrap_or(limit);
            let mut args = args![account, piece.from, piece.to, part.0, first, last, left];
            if takes_user {
                args.push(query.of.into());
            }
            for row in self.conn.all(statement, args).await? {
                let at = Timestamp(piece.from.0 + row.int("part")? * part.0);
                found.push(UsageRow { at, group: query.group(&row)?, sums: sums(&row)? });
            }
        }
        Ok(found)
    }

    /// The credits that each child used in a period, with all that was below it, as far as it was below this account then. Those
    /// that used nothing are left out.
    pub async fn credits_of_children(&mut self, period: Period) -> Result<BTreeMap<AccountId, i64>> {
        let account = self.account().id;
        let rows = self
            .conn
            .all(
                "SELECT c.id, CAST(SUM(u.credits) AS BIGINT) AS credits FROM account c \
                 JOIN usage_line l ON l.ancestor_id = c.id \
                 JOIN usage_line p ON p.line_id = l.line_id AND p.ancestor_id = $1 \
                 JOIN usage_by_user u ON u.line_id = l.line_id AND u.day >= $2 AND u.day < $3 \
                 WHERE c.parent_id = $1 GROUP BY c.id",
                args![account, period.from, period.to],
            )
            .await?;
        rows.iter().map(|row| Ok((row.id("id")?, row.int("credits")?))).collect()
    }
}

fn sums(row: &Row) -> Result<Sums> {
    Ok(Sums { calls: row.int("calls")?, failures: row.int("failures")?, credits: row.int("credits")? })
}

/// The user of a row.
fn user_arg(user: Option<UserId>) -> Arg {
    user.unwrap_or(UserId::from_bytes(NOBODY)).into()
}

#[cfg(test)]
mod tests;
