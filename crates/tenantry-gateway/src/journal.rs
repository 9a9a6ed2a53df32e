//! What calls used, on the disk until the database has it: a write-ahead file with checksums.
//!
//! A record is put into memory, and a thread of its own writes down whatever has gathered: one frame, one batch, with a number
//! that counts on from batch to batch. A batch that is durable is shipped to the database, which knows by its number whether it
//! has it already. Nobody who forwards calls waits for a disk, unless they ask to.
//!
//! Every start begins a new *epoch*, in which batches are counted from one. A batch is therefore known for good by the node that
//! wrote it, the epoch and the number, and an old copy of the directory can be shipped again without harm.
//!
//! | module | holds |
//! |---|---|
//! | `frame` | how the files look |
//! | `directory` | the files themselves, the lock, and who this node is |
//! | `writer` | the thread that writes, and what it does if the disk does not |
//! | [`batches`] | reading what is durable, also what an earlier start left behind |

pub mod batches;
mod directory;
mod frame;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tenantry_core::Timestamp;
use tenantry_core::usage::Usage;
use tokio::sync::watch;

use batches::Batches;
use directory::{Directory, Segment};
use writer::Writer;

/// The most records of one batch.
const MOST_RECORDS: u32 = 4_096;
/// A batch of so many bytes takes no more records.
const LARGE_BATCH: usize = 1 << 20;
/// The largest record. Names of APIs are short: it is a tenth of this.
const LARGEST_RECORD: usize = 4_096;
/// No more calls are to be let in while so many bytes wait for the disk.
const ROOM: usize = 32 << 20;
/// Nothing is taken any more while so many do.
const LIMIT: usize = 64 << 20;

/// Whose batches they are: those of one node since one of its starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// The node.
    pub node: [u8; 16],
    /// The start: greater than those before.
    pub epoch: i64,
}

/// How many records had been taken when this one had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

/// Why a record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// The disk is so far behind that there is no more memory for records.
    Full,
    /// The journal was closed.
    Closed,
    /// The record is longer than any that makes sense.
    TooLong,
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too many records of usage wait for the disk",
            Self::Closed => "no more usage is recorded: the server is stopping",
            Self::TooLong => "the record of usage is too long",
        })
    }
}

impl std::error::Error for NotTaken {}

/// How far the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durable {
    records: u64,
    /// Whether there will be no more.
    ended: bool,
}

/// Figures of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Records taken since the start.
    pub appended: u64,
    /// Bytes that wait for the disk.
    pub waiting: usize,
    /// How often the disk failed.
    pub failures: u64,
}

/// The journal of one node. Dropped, it writes down what it has.
pub struct Journal {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What those who append, the thread that writes and the reader share.
struct Shared {
    directory: Directory,
    /// Whose batches are written now.
    stream: Stream,
    waiting: Mutex<Waiting>,
    /// Says that something waits, or that the journal is being closed.
    wake: Condvar,
    /// What is on the disk, and how far it may be read.
    segments: Mutex<BTreeMap<Segment, Extent>>,
    durable: watch::Sender<Durable>,
    appended: AtomicU64,
    bytes: AtomicUsize,
    /// Whether the disk failed and has not recovered.
    trouble: AtomicBool,
    failures: AtomicU64,
}

/// How far a segment may be read, and whether it grows.
#[derive(Debug, Clone, Copy)]
struct Extent {
    end: u64,
    open: bool,
}

/// Records that the thread has not come round for.
#[derive(Default)]
struct Waiting {
    batches: Vec<Gathered>,
    /// What batches were written from, to be filled again.
    spare: Vec<Vec<u8>>,
    closing: bool,
}

/// A batch that is being filled: a frame without its head.
struct Gathered {
    frame: Vec<u8>,
    records: u32,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn new(directory: Directory, stream: Stream, segments: BTreeMap<Segment, Extent>) -> Self {
        Self {
            directory,
            stream,
            waiting: Mutex::default(),
            wake: Condvar::new(),
            segments: Mutex::new(segments),
            durable: watch::Sender::new(Durable { records: 0, ended: false }),
            appended: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            trouble: AtomicBool::new(false),
            failures: AtomicU64::new(0),
        }
    }
}

impl Journal {
    /// Opens the journal in a directory, which is made if it is missing, and begins an epoch. A directory without a node becomes
    /// that of the node `fresh`.
    ///
    /// # Errors
    /// If the directory cannot be written to, or is in use by another process.
    pub fn open(path: &Path, fresh: [u8; 16], now: Timestamp) -> io::Result<(Self, Batches)> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        Self::open_unnamed(path, fresh, now).map_err(named)
    }

    fn open_unnamed(path: &Path, fresh: [u8; 16], now: Timestamp) -> io::Result<(Self, Batches)> {
        let directory = Directory::open(path)?;
        let segments: BTreeMap<_, _> = directory.segments()?.into_iter().map(Extent::closed).collect();
        let newest = segments.last_key_value().map_or(0, |(segment, _)| segment.epoch);
        let stream = directory.begin(fresh, now.0, newest)?;
        let shared = Arc::new(Shared::new(directory, stream, segments));
        let writer = Writer::new(Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("usage-journal".to_owned()).spawn(move || writer.run())?;
        let batches = Batches::new(Arc::clone(&shared));
        Ok((Self { shared, thread: Mutex::new(Some(thread)) }, batches))
    }

    /// Takes a record, without waiting for the disk. The call is over by now, so almost everything is taken: whether a call
    /// should be let in at all, [`Journal::has_room`] says.
    ///
    /// # Errors
    /// If there is no memory for it, or no journal any more.
    pub fn append(&self, usage: &Usage<'_>) -> Result<Position, NotTaken> {
        let shared = &self.shared;
        let mut waiting = locked(&shared.waiting);
        if waiting.closing {
            return Err(NotTaken::Closed);
        }
        if shared.bytes.load(Ordering::Relaxed) >= LIMIT {
            return Err(NotTaken::Full);
        }
        let idle = waiting.batches.is_empty();
        let bytes = waiting.put(usage).ok_or(NotTaken::TooLong)?;
        shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        let position = shared.appended.fetch_add(1, Ordering::Relaxed) + 1;
        drop(waiting);
        if idle {
            shared.wake.notify_one();
        }
        Ok(Position(position))
    }

    /// Whether calls should be let in: the disk works and is not far behind, so that what they use can be recorded.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let (shared, durable) = (&self.shared, *self.shared.durable.borrow());
        !durable.ended && !shared.trouble.load(Ordering::Relaxed) && shared.bytes.load(Ordering::Relaxed) < ROOM
    }

    /// Waits until a record is durable. False if it never will be.
    pub async fn durable(&self, position: Position) -> bool {
        let mut durable = self.shared.durable.subscribe();
        let reached = durable.wait_for(|durable| durable.ended || durable.records >= position.0).await;
        reached.is_ok_and(|durable| durable.records >= position.0)
    }

    /// Waits until everything is durable that has been taken so far. False if it never will be.
    pub async fn sync(&self) -> bool {
        self.durable(Position(self.shared.appended.load(Ordering::Relaxed))).await
    }

    /// Says whenever more is durable.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Durable> {
        self.shared.durable.subscribe()
    }

    /// How it is doing.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            appended: self.shared.appended.load(Ordering::Relaxed),
            waiting: self.shared.bytes.load(Ordering::Relaxed),
            failures: self.shared.failures.load(Ordering::Relaxed),
        }
    }

    /// Takes no more, and writes down what there is. Blocks for as long as the disk takes.
    pub fn close(&self) {
        locked(&self.shared.waiting).closing = true;
        self.shared.wake.notify_one();
        let thread = locked(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes the usage journal panicked");
        }
    }

    /// Lets others have the directory, when nothing is written or read any more.
    pub fn release(&self) {
        self.shared.directory.unlock();
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

impl Extent {
    fn closed((segment, end): (Segment, u64)) -> (Segment, Self) {
        (segment, Self { end, open: false })
    }
}

impl Waiting {
    /// Puts a record into the last batch, or into a new one; answers how long it is. `None` if it is too long.
    fn put(&mut self, usage: &Usage<'_>) -> Option<usize> {
        let full = |batch: &Gathered| batch.records >= MOST_RECORDS || batch.frame.len() >= LARGE_BATCH;
        if self.batches.last().is_none_or(full) {
            let mut frame = self.spare.pop().unwrap_or_default();
            frame.extend(frame::UNSEALED);
            self.batches.push(Gathered { frame, records: 0 });
        }
        let batch = self.batches.last_mut()?;
        let before = batch.frame.len();
        usage.encode(&mut batch.frame);
        let bytes = batch.frame.len() - before;
        if bytes > LARGEST_RECORD {
            batch.frame.truncate(before);
            if batch.records == 0 {
                self.batches.pop();
            }
            return None;
        }
        batch.records += 1;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests;
