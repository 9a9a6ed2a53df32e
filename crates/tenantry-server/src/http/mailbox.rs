//! Mails that were kept, where none is sent.

use tenantry_api as api;

use super::extract::Query;
use crate::ctx::Ctx;
use crate::input;
use crate::mail::Kept;
use crate::problem::Result;
use crate::reply::Reply;
use crate::view;

pub(crate) async fn list(ctx: Ctx, Query(query): Query<api::PageQuery>) -> Result<Reply<api::List<api::KeptMail>>> {
    let page = input::page(&query)?;
    let identity = ctx.identity().await?;
    identity.caller.check_operator()?;
    let kept = |kept: &Kept| api::KeptMail {
        to: kept.mail.to.clone(),
        subject: kept.mail.subject.clone(),
        text: kept.mail.text.clone(),
        at: view::instant(kept.at),
    };
    Ok(Reply::new(&identity, view::window(ctx.app.mailer.kept(), page, kept)))
}
