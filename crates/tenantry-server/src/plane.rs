//! The data plane's view of the world: a snapshot that readers take without waiting, kept up with the changelog.
//!
//! What this node commits is in the snapshot before its request is answered: a key that was revoked is refused from then on. What
//! other nodes commit is looked for several times a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tenantry_core::event::Revision;
use tenantry_core::snapshot::{Change, Snapshot};
use tenantry_store::Store;
use tokio::sync::{Notify, watch};

use crate::net::told_to_stop;
use crate::state::App;

/// How often other nodes' commits are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long an answer waits for the snapshot. The change is committed: whoever waited longer is answered all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How many changes of the first reading are applied at once.
const BATCH: usize = 65_536;

/// The snapshot, and who waits for it.
pub struct Plane {
    snapshot: Arc<ArcSwap<Snapshot>>,
    /// Says that something was committed here.
    committed: Notify,
    /// Says that there is a newer snapshot.
    renewed: watch::Sender<()>,
    /// Whether the server is ending: there will be no newer one.
    ended: AtomicBool,
}

impl Plane {
    /// Reads the whole database.
    ///
    /// # Errors
    /// If it fails.
    pub(crate) async fn load(store: &Store) -> tenantry_store::Result<Self> {
        let (mut snapshot, mut waiting) = (Snapshot::default(), Vec::new());
        let mut take = |change: Change| {
            waiting.push(change);
            if waiting.len() >= BATCH {
                snapshot = snapshot.apply(waiting.drain(..));
            }
        };
        store.feed_all(&mut take).await?;
        snapshot = snapshot.apply(waiting);
        Ok(Self {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            committed: Notify::new(),
            renewed: watch::Sender::default(),
            ended: AtomicBool::new(false),
        })
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Where the newest snapshot is always found.
    pub(crate) fn world(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.snapshot)
    }

    /// Waits until what was committed at these revisions can be seen. Answers whether it can.
    pub(crate) async fn reach(&self, revisions: &[Revision]) -> bool {
        if revisions.is_empty() {
            return true;
        }
        let mut renewed = self.renewed.subscribe();
        let reached = || {
            let snapshot = self.snapshot();
            revisions.iter().all(|revision| snapshot.revision(revision.bucket) >= revision.rev)
        };
        let wait = async {
            while !reached() && !self.ended.load(Ordering::Acquire) {
                self.committed.notify_one();
                if renewed.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(LONGEST_WAIT, wait).await.is_ok() && reached()
    }

    /// Takes in what is new.
    async fn renew(&self, store: &Store) -> tenantry_store::Result<()> {
        let before = self.snapshot.load_full();
        let changes = store.feed_since(|bucket| before.revision(bucket)).await?;
        if !changes.is_empty() {
            self.snapshot.store(Arc::new(before.apply(changes)));
            self.renewed.send_replace(());
        }
        Ok(())
    }
}

/// Follows the changelog until `stop` says so.
pub(crate) async fn follow(app: App, mut stop: watch::Receiver<bool>) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.plane.committed.notified() => (),
            _ = look.tick() => (),
            () = told_to_stop(&mut stop) => break,
        }
        if let Err(error) = app.plane.renew(&app.store).await {
            tracing::warn!(%error, "the changelog could not be read; decisions are those of before");
        }
    }
    // Who still waits is answered: what they committed is in the database.
    app.plane.ended.store(true, Ordering::Release);
    app.plane.renewed.send_replace(());
}
