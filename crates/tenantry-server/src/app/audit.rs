//! Reading the audit log, page by page.

use tenantry_api as api;
use tenantry_core::id::{AccountId, AuditId, Id};
use tenantry_core::refusal::Code;
use tenantry_store::AuditFilter;

use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::Reply;
use crate::seal::mac;
use crate::server::hex;
use crate::state::App;
use crate::view;

/// How much of the authentication code a cursor carries, in hexadecimal digits.
const MAC_DIGITS: usize = 32;

pub(crate) async fn list(
    ctx: &Ctx,
    account: AccountId,
    mut filter: AuditFilter,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Reply<api::Log<api::AuditEntry>>> {
    let seal = Cursors { app: &ctx.app, account, filter: format!("{filter:?}") };
    filter.before = cursor.map(|text| seal.open(text).ok_or(Code::InvalidCursor)).transpose()?;
    let mut tx = ctx.read(account).await?;
    let mut rows = tx.audit_list(&filter, limit + 1).await?;
    // One more than asked tells whether there is a next page.
    let more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next_cursor = rows.last().filter(|_| more).map(|last| seal.make(last.id));
    let body = api::Log {
        data: rows.iter().map(view::audit_entry).collect(),
        pagination: api::CursorPagination { limit, next_cursor },
    };
    ctx.answer(tx, body).await
}

/// Cursors are good for the list that they were made for, and cannot be made up.
struct Cursors<'a> {
    app: &'a App,
    account: AccountId,
    filter: String,
}

impl Cursors<'_> {
    fn make(&self, last: AuditId) -> String {
        let parts: [&[u8]; 4] = [b"audit cursor", &self.account.bytes(), self.filter.as_bytes(), &last.bytes()];
        let code = hex(&mac(&self.app.cursor_secret, &parts));
        format!("{last}.{}", code.get(..MAC_DIGITS).unwrap_or_default())
    }

    fn open(&self, text: &str) -> Option<AuditId> {
        let last: AuditId = text.split_once('.')?.0.parse().ok()?;
        (self.make(last) == text).then_some(last)
    }
}
