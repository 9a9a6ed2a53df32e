//! Metering: what calls used goes into the journal at once, and from there into the database.
//!
//! Whoever forwards calls only puts records into memory. A thread makes them durable; a worker adds them up and writes the sums
//! into the database, exactly once. While there is no database, the journal keeps them.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenantry_core::Timestamp;
use tenantry_core::usage::{Tally, Usage};
use tenantry_gateway::journal::batches::Batches;
use tenantry_gateway::journal::{Journal, NotTaken, Position};
use tenantry_store::UsageRun;
use tokio::sync::watch;

use crate::net::told_to_stop;
use crate::problem::{Error, Result};
use crate::state::App;

/// About how many records go into the database in one transaction, which others wait for.
const AT_ONCE: u32 = 8_192;
/// How long records gather before they are shipped.
const GATHER: Duration = Duration::from_millis(200);
/// How often it is looked whether all is in, where nothing is recorded.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest pause while the database is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The journal, and what is on its way to the database.
pub struct Metering {
    /// Where records go.
    pub journal: Arc<Journal>,
    batches: Arc<Mutex<Batches>>,
    /// What the database did not take. Held by who ships: one at a time, so that who waits for it finds all of it shipped.
    shipping: tokio::sync::Mutex<Option<Gathered>>,
    /// When everything was in, in microseconds; before the first time, the beginning of time.
    as_of: AtomicI64,
}

/// Batches, added up.
struct Gathered {
    run: UsageRun,
    tally: Tally,
    batches: u64,
    /// How many of them could not be read.
    damaged: u64,
}

impl Metering {
    /// Opens the journal of this node.
    ///
    /// # Errors
    /// If its directory cannot be written to, or is in use.
    pub(crate) fn open(directory: &Path, fresh: [u8; 16], now: Timestamp) -> io::Result<Self> {
        let (journal, batches) = Journal::open(directory, fresh, now)?;
        Ok(Self {
            journal: Arc::new(journal),
            batches: Arc::new(Mutex::new(batches)),
            shipping: tokio::sync::Mutex::default(),
            as_of: AtomicI64::new(i64::MIN),
        })
    }

    /// When everything that this node had recorded was in the database.
    pub(crate) fn as_of(&self) -> Option<Timestamp> {
        Some(Timestamp(self.as_of.load(Ordering::Relaxed))).filter(|at| at.0 != i64::MIN)
    }

    /// Does something with the reader, which may wait for the disk.
    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&mut Batches) -> T + Send + 'static) -> Result<T> {
        let batches = Arc::clone(&self.batches);
        let done =
            tokio::task::spawn_blocking(move || work(&mut batches.lock().unwrap_or_else(PoisonError::into_inner)));
        done.await.map_err(Error::internal)
    }
}

impl App {
    /// Records what a call used. It is durable a moment later; [`Journal::durable`] waits for that.
    ///
    /// # Errors
    /// If the disk is too far behind; see [`Journal::append`].
    pub fn meter(&self, usage: &Usage<'_>) -> Result<Position, NotTaken> {
        self.metering.journal.append(usage)
    }
}

/// The next batches, if there are any.
fn gather(batches: &mut Batches) -> io::Result<Option<Gathered>> {
    let Some(found) = batches.next_run(AT_ONCE)? else { return Ok(None) };
    let mut tally = Tally::default();
    let mut damaged = found.missing();
    for batch in &found.batches {
        match batch.records() {
            Some(records) => records.iter().for_each(|usage| tally.add(usage)),
            None => damaged += 1,
        }
    }
    let run = UsageRun { node: found.stream.node, epoch: found.stream.epoch, after: found.after, last: found.last() };
    let batches = found.batches.len() as u64;
    Ok(Some(Gathered { run, tally, batches, damaged: damaged.unsigned_abs() }))
}

/// Ships what is durable, until nothing is left.
pub(crate) async fn ship(app: &App) -> Result<()> {
    let metering = &app.metering;
    let mut waiting = metering.shipping.lock().await;
    let begun = app.clock.now();
    loop {
        let gathered = match waiting.take() {
            Some(gathered) => gathered,
            None => match metering.read(gather).await?.map_err(Error::internal)? {
                Some(gathered) => gathered,
                None => break,
            },
        };
        let applied = app.store.usage_apply(gathered.run, &gathered.tally, app.clock.now()).await;
        let seq = match applied {
            Ok(seq) => seq,
            Err(error) => {
                *waiting = Some(gathered);
                return Err(error.into());
            }
        };
        if seq == gathered.run.last {
            note(app, &gathered);
        }
        metering.read(move |batches| batches.settle(seq)).await?;
    }
    metering.as_of.store(begun.0, Ordering::Relaxed);
    Ok(())
}

fn note(app: &App, gathered: &Gathered) {
    let Gathered { run, tally, batches, damaged } = gathered;
    app.metrics.usage_applied(tally.records().unsigned_abs(), *batches, *damaged);
    if *damaged > 0 {
        let (epoch, after, last) = (run.epoch, run.after, run.last);
        tracing::error!(epoch, after, last, damaged, "usage is lost: batches of the journal are damaged");
    }
}

/// Ships whenever more is durable, until `stop` says so; what is recorded later [`finish`] ships.
pub(crate) async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let mut durable = app.metering.journal.follow();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut pause = GATHER;
    loop {
        tokio::select! {
            _ = durable.changed() => (),
            _ = look.tick() => (),
            () = told_to_stop(&mut stop) => return,
        }
        pause = match ship(&app).await {
            Ok(()) => GATHER,
            Err(error) => {
                tracing::warn!(%error, "usage was not shipped; the journal keeps it, and it is tried again");
                (pause * 2).min(LONGEST_PAUSE)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => (),
            () = told_to_stop(&mut stop) => return,
        }
    }
}

/// Ends metering: nothing more is recorded, what was is made durable and shipped. What cannot be shipped now is at the next
/// start.
pub(crate) async fn finish(app: &App) {
    let closing = app.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || closing.metering.journal.close()).await {
        tracing::error!(%error, "the usage journal was not closed");
    }
    if let Err(error) = ship(app).await {
        tracing::warn!(%error, "usage was not shipped; it is at the next start");
    }
    app.metering.journal.release();
}
