//! The audit log.

use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::id::{AccountId, UserId};
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
    let (account_actor, user_actor) = match query.actor.as_deref() {
        None => (None, None),
        Some(id) => match (id.parse::<AccountId>(), id.parse::<UserId>()) {
            (Ok(account), _) => (Some(account), None),
            (_, Ok(user)) => (None, Some(user)),
            _ => {
                return Err(Refusal::at(Code::InvalidParameter, "actor", "takes the id of an account or a user").into());
            }
        },
    };
    let filter = AuditFilter {
        include_descendants: query.include_descendants.unwrap_or_default(),
        actor: account_actor,
        actor_user: user_actor,
        action: query.action,
        from: instant("from", query.from)?,
        to: instant("to", query.to)?,
        before: None,
    };
    app::audit::list(&ctx, account, filter, query.cursor.as_deref(), limit).await
}
