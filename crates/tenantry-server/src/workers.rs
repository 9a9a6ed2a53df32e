//! Scheduled work: writing down when keys and sessions were used, forgetting what is over, purging closed accounts, and
//! sending mails.

use std::time::Duration;

use tenantry_core::secret;
use tenantry_core::time::Span;
use tenantry_store::DueMail;
use tokio::sync::watch;

use crate::mail::{self, purpose};
use crate::net::told_to_stop;
use crate::problem::Result;
use crate::seal::sha256;
use crate::state::App;
use crate::view;

const USES_EVERY: Duration = Duration::from_secs(20);
const FORGET_EVERY: Duration = Duration::from_secs(300);
const PURGE_EVERY: Duration = Duration::from_secs(3600);
const PURGE_BATCH: i64 = 100;
const MAILS_EVERY: Duration = Duration::from_secs(5);
const MAIL_BATCH: i64 = 20;
const MOST_ATTEMPTS: i64 = 10;

/// Runs until `stop` says so; then writes down what is left.
pub(crate) async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let mut uses = tokio::time::interval(USES_EVERY);
    let mut forget = tokio::time::interval(FORGET_EVERY);
    let mut purge = tokio::time::interval(PURGE_EVERY);
    loop {
        let (work, result) = tokio::select! {
            _ = uses.tick() => ("key uses", write_uses(&app).await),
            _ = forget.tick() => ("leftovers", forget_leftovers(&app).await),
            _ = purge.tick() => ("purge", purge_closed(&app).await),
            () = told_to_stop(&mut stop) => break,
        };
        if let Err(error) = result {
            tracing::warn!(work, %error, "scheduled work failed; it is tried again later");
        }
    }
    if let Err(error) = write_uses(&app).await {
        tracing::warn!(%error, "the last uses of keys are lost");
    }
}

pub(crate) async fn write_uses(app: &App) -> tenantry_store::Result<()> {
    let (keys, sessions) = (app.take_uses(), app.take_session_uses());
    if !keys.is_empty() {
        app.store.keys_used(&keys).await?;
    }
    if !sessions.is_empty() {
        app.store.sessions_used(&sessions).await?;
    }
    Ok(())
}

async fn forget_leftovers(app: &App) -> tenantry_store::Result<()> {
    app.store.answers_forget(app.clock.now()).await?;
    app.store.leftovers_forget(app.clock.now()).await
}

/// Sends mails until `stop` says so: at once when there is one, and from time to time those of other nodes and those
/// that were not taken before.
pub(crate) async fn run_sender(app: App, mut stop: watch::Receiver<bool>) {
    let mut again = tokio::time::interval(MAILS_EVERY);
    loop {
        tokio::select! {
            () = app.outbox.notified() => (),
            _ = again.tick() => (),
            () = told_to_stop(&mut stop) => return,
        }
        if let Err(error) = send_mails(&app).await {
            tracing::warn!(%error, "mails were not sent; they are tried again later");
        }
    }
}

/// Sends what is due.
pub(crate) async fn send_mails(app: &App) -> Result<()> {
    let _alone = app.sending.lock().await;
    loop {
        let due = app.store.mails_due(app.clock.now(), MAIL_BATCH).await?;
        if due.is_empty() {
            return Ok(());
        }
        for mail in due {
            send_mail(app, &mail).await?;
        }
    }
}

/// Sends one mail. The token of its link is made now: it is never stored, and a second attempt makes another.
async fn send_mail(app: &App, mail: &DueMail) -> Result<()> {
    let now = app.clock.now();
    let mut link = None;
    if let (Some(ticket), Some(purpose)) = (mail.ticket_id, purpose(mail.kind)) {
        let token = secret::token(&app.chance.bytes()?);
        if !app.store.ticket_issue(ticket, sha256(token.as_bytes()), now).await? {
            return Ok(app.store.mail_done(mail.id).await?);
        }
        link = Some(mail::link(&app.config.public_url, purpose.as_str(), &token));
    }
    let written = app.mailer.write(mail.kind, &mail.recipient, &view::value(&mail.detail), link.as_deref())?;
    match app.mailer.send(written, now).await {
        Ok(()) => Ok(app.store.mail_done(mail.id).await?),
        Err(error) => {
            let again = (mail.attempts < MOST_ATTEMPTS).then(|| now.plus(pause_after(mail.attempts)));
            tracing::warn!(mail = %mail.id, kind = %mail.kind, attempts = mail.attempts, error, "a mail was not taken");
            Ok(app.store.mail_failed(mail.id, &error, again).await?)
        }
    }
}

/// Twice as long after every attempt: half a minute at first, about four hours before the last.
fn pause_after(attempts: i64) -> Span {
    Span::seconds(30 << attempts.clamp(1, 9).saturating_sub(1))
}

/// Purges what is due, leaves first, until nothing is.
pub(crate) async fn purge_closed(app: &App) -> tenantry_store::Result<()> {
    loop {
        let now = app.clock.now();
        let due = app.store.purgeable(now, PURGE_BATCH).await?;
        let mut purged = 0;
        for account in &due {
            let done = app.store.account_purge(*account, now, app.chance.id(now), app.chance.id(now)).await?;
            purged += i32::from(done);
        }
        if purged == 0 {
            return Ok(());
        }
        tracing::info!(purged, "closed accounts purged");
    }
}
