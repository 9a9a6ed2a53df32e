//! Scheduled work: writing down when keys were used, forgetting kept answers, purging closed accounts.

use std::time::Duration;

use tokio::sync::watch;

use crate::net::told_to_stop;
use crate::state::App;

const USES_EVERY: Duration = Duration::from_secs(20);
const FORGET_EVERY: Duration = Duration::from_secs(300);
const PURGE_EVERY: Duration = Duration::from_secs(3600);
const PURGE_BATCH: i64 = 100;

/// Runs until `stop` says so; then writes down what is left.
pub(crate) async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let mut uses = tokio::time::interval(USES_EVERY);
    let mut forget = tokio::time::interval(FORGET_EVERY);
    let mut purge = tokio::time::interval(PURGE_EVERY);
    loop {
        let (work, result) = tokio::select! {
            _ = uses.tick() => ("key uses", write_uses(&app).await),
            _ = forget.tick() => ("kept answers", app.store.answers_forget(app.clock.now()).await.map(drop)),
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
    let uses = app.take_uses();
    if uses.is_empty() { Ok(()) } else { app.store.keys_used(&uses).await }
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
