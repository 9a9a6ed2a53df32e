//! Lists and their parameters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A window of a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct List<T> {
    /// The rows in the window.
    pub data: Vec<T>,
    /// Where the window is.
    pub pagination: Pagination,
}

/// Where a window is in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pagination {
    /// At most this many rows.
    pub limit: i64,
    /// After this many.
    pub offset: i64,
    /// How many rows the whole list has.
    pub total: i64,
}

/// A page of a long log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Log<T> {
    /// The rows, newest first.
    pub data: Vec<T>,
    /// How to go on.
    pub pagination: CursorPagination,
}

/// How to go on in a long log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CursorPagination {
    /// At most this many rows.
    pub limit: i64,
    /// Send it as `cursor` for the next page; `null` at the end.
    pub next_cursor: Option<String>,
}

/// Which window of a list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PageQuery {
    /// 1 to 100; 10 unless given.
    pub limit: Option<i64>,
    /// 0 and up; 0 unless given.
    pub offset: Option<i64>,
}

/// Which window of a list of accounts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountQuery {
    /// 1 to 100; 10 unless given.
    pub limit: Option<i64>,
    /// 0 and up; 0 unless given.
    pub offset: Option<i64>,
    /// Only accounts with this status: `active`, `suspended` or `closed`.
    pub status: Option<String>,
}

/// Which window of a list of resources.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceQuery {
    /// 1 to 100; 10 unless given.
    pub limit: Option<i64>,
    /// 0 and up; 0 unless given.
    pub offset: Option<i64>,
    /// `shared` adds resources that accounts above share with this one.
    pub include: Option<String>,
    /// Only resources of this kind.
    pub kind: Option<String>,
}

/// Which part of an audit log.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditQuery {
    /// 1 to 100; 10 unless given.
    pub limit: Option<i64>,
    /// `nextCursor` of the page before, with the same other parameters.
    pub cursor: Option<String>,
    /// Also the logs of all accounts below.
    pub include_descendants: Option<bool>,
    /// Only what this account, or this user, did.
    pub actor: Option<String>,
    /// Only this action, such as `account.moved`.
    pub action: Option<String>,
    /// RFC 3339: not before.
    pub from: Option<String>,
    /// RFC 3339: before.
    pub to: Option<String>,
}
