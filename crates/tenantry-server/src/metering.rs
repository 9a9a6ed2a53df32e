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
use tenantry_core::usage::Tally;
use tenantry_gateway::journal::Journal;
use tenantry_gateway::journal::batches::Batches;
use tenantry_store::UsageRun;
use tokio::sync::watch;

use crate::net::told_to_stop;
use crate::problem::{Error, Result};
use crate::state::App;

/// So many sums are enough for one transaction, which others wait for.
const MOST_ROWS: usize = 65_536;
/// And so many records, of which there may be many in one sum.
const MOST_RECORDS: i64 = 262_144;
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
    shipment: Arc<Mutex<Shipment>>,
    /// Held by who ships: one at a time, so that who waits for it finds everything shipped.
    shipping: tokio::sync::Mutex<()>,
    /// When everything was in, in microseconds; before the first time, the beginning of time.
    as_of: AtomicI64,
}

/// The reader of the journal, and what it read last, until the database has taken it.
struct Shipment {
    batches: Batches,
    gathered: Option<Arc<Gathered>>,
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
            shipment: Arc::new(Mutex::new(Shipment { batches, gathered: None })),
            shipping: tokio::sync::Mutex::default(),
            as_of: AtomicI64::new(i64::MIN),
        })
    }

    /// When everything that this node had recorded was in the database.
    pub(crate) fn as_of(&self) -> Option<Timestamp> {
        Some(Timestamp(self.as_of.load(Ordering::Relaxed))).filter(|at| at.0 != i64::MIN)
    }

    /// Does something with what is to be shipped, which may wait for the disk.
    async fn shipment<T: Send + 'static>(&self, work: impl FnOnce(&mut Shipment) -> T + Send + 'static) -> Result<T> {
        let shipment = Arc::clone(&self.shipment);
        let work = move || work(&mut shipment.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)
    }
}

impl Shipment {
    /// What the database has to take next, if there is anything.
    fn next(&mut self) -> io::Result<Option<Arc<Gathered>>> {
        if self.gathered.is_none() {
            self.gathered = gather(&mut self.batches)?.map(Arc::new);
        }
        Ok(self.gathered.clone())
    }

    /// Says up to which batch the database has taken them.
    fn settle(&mut self, seq: i64) {
        self.gathered = None;
        self.batches.settle(seq);
    }
}

/// The next batches, if there are any.
fn gather(batches: &mut Batches) -> io::Result<Option<Gathered>> {
    let (mut tally, mut damaged) = (Tally::default(), 0);
    let found = batches.next_run(|batch| {
        match batch.records() {
            Some(records) => records.iter().for_each(|usage| tally.add(usage)),
            None => damaged += 1,
        }
        tally.rows() < MOST_ROWS && tally.records() < MOST_RECORDS
    })?;
    let Some(found) = found else { return Ok(None) };
    damaged += found.missing();
    let run = UsageRun { node: found.stream.node, epoch: found.stream.epoch, after: found.after, last: found.last };
    Ok(Some(Gathered { run, tally, batches: found.batches.unsigned_abs(), damaged: damaged.unsigned_abs() }))
}

/// Ships what is durable, until nothing is left. What the database does not take is tried again by whoever ships next.
pub(crate) async fn ship(app: &App) -> Result<()> {
    let metering = &app.metering;
    let _alone = metering.shipping.lock().await;
    let begun = app.clock.now();
    while let Some(gathered) = metering.shipment(Shipment::next).await?.map_err(Error::internal)? {
        let seq = app.store.usage_apply(gathered.run, &gathered.tally).await?;
        if seq == gathered.run.last {
            note(app, &gathered);
        }
        metering.shipment(move |shipment| shipment.settle(seq)).await?;
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
