//! Mails that were kept, where none is sent.

use tenantry_api as api;

use crate::ctx::Ctx;
use crate::mail::Kept;
use crate::problem::Result;
use crate::reply::Reply;
use crate::view;

pub(crate) async fn list(ctx: Ctx) -> Result<Reply<api::Mailbox>> {
    let identity = ctx.identity().await?;
    identity.caller.check_operator()?;
    let kept = |kept: Kept| api::KeptMail {
        to: kept.mail.to,
        subject: kept.mail.subject,
        text: kept.mail.text,
        at: view::instant(kept.at),
    };
    let data = ctx.app.mailer.kept().into_iter().map(kept).collect();
    Ok(Reply::new(&identity, api::Mailbox { data }))
}
