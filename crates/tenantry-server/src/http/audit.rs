//! The audit log.

use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::id::AccountId;
use tenantry_core::refusal::Code;
use tenantry_store::AuditFilter;

use super::extract::{Path, Query};
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::Reply;

pub(crate) async fn list(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Query(query): Query<api::AuditQuery>,
) -> Result<Reply<api::Log<api::AuditEntry>>> {
    let limit = input::page(&api::PageQuery { limit: query.limit, offset: None })?.limit;
    let instant =
        |name: &str, text: Option<String>| text.map(|at| input::instant(Code::InvalidParameter, name, &at)).transpose();
    let actor =
        |id: String| id.parse::<AccountId>().map_err(|e| Refusal::at(Code::InvalidParameter, "actor", e.to_string()));
    let filter = AuditFilter {
        include_descendants: query.include_descendants.unwrap_or_default(),
        actor: query.actor.map(actor).transpose()?,
        action: query.action,
        from: instant("from", query.from)?,
        to: instant("to", query.to)?,
        before: None,
    };
    app::audit::list(&ctx, account, filter, query.cursor.as_deref(), limit).await
}
