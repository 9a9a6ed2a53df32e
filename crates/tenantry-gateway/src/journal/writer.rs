//! The thread that writes: whatever has gathered, then one `fdatasync` for all of it.
//!
//! If the disk fails, what has been confirmed stays, and what has not been is written again, into a new segment and with the same
//! numbers: of a file whose `fsync` failed nobody knows what is in it. Who reads it later may find such a batch twice, and
//! takes the first.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::directory::Segment;
use super::frame::{self, HEAD, Head};
use super::{Durable, Extent, Gathered, Shared, locked};

/// A segment of so many bytes is followed by the next; in tests there are to be several of them.
const LARGE_SEGMENT: u64 = if cfg!(test) { 16 << 10 } else { 16 << 20 };
/// How long records may gather, so that a quick disk is not asked for each of them.
const GATHER: Duration = Duration::from_millis(1);
/// How many buffers are kept for the next records.
const SPARE: usize = 2;

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Writer {
    shared: Arc<Shared>,
    /// The segment that is being written to.
    open: Option<Open>,
    /// The number of the last segment, also of one that could not be made.
    number: u32,
    /// The number of the last batch.
    seq: i64,
    /// The number of the last batch that is durable.
    synced: i64,
}

struct Open {
    segment: Segment,
    file: File,
    length: u64,
    /// What is in the file and not yet durable.
    last: i64,
    records: u64,
    bytes: usize,
}

/// A batch with its number.
struct Sealed {
    seq: i64,
    records: u32,
    frame: Vec<u8>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, open: None, number: 0, seq: 0, synced: 0 }
    }

    /// Writes until the journal is closed and nothing is left.
    pub(super) fn run(mut self) {
        while let Some(batches) = self.gathered() {
            let sealed: Vec<_> = batches.into_iter().map(|batch| self.seal(batch)).collect();
            if !self.insist(&sealed) {
                break;
            }
            self.give_back(sealed);
        }
        self.shared.durable.send_modify(|durable| durable.ended = true);
    }

    /// Waits for records; `None` at the end.
    fn gathered(&self) -> Option<Vec<Gathered>> {
        let mut waiting = locked(&self.shared.waiting);
        while waiting.batches.is_empty() && !waiting.closing {
            waiting = self.shared.wake.wait(waiting).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        if !waiting.closing {
            drop(waiting);
            std::thread::sleep(GATHER);
            waiting = locked(&self.shared.waiting);
        }
        let batches = std::mem::take(&mut waiting.batches);
        (!batches.is_empty()).then_some(batches)
    }

    fn seal(&mut self, batch: Gathered) -> Sealed {
        let Gathered { mut frame, records } = batch;
        self.seq += 1;
        frame::seal(&mut frame, self.shared.stream, self.seq, records);
        Sealed { seq: self.seq, records, frame }
    }

    /// Tries again and again, with growing pauses; once more, if the journal is being closed. Answers whether all is durable.
    fn insist(&mut self, batches: &[Sealed]) -> bool {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let last_try = locked(&self.shared.waiting).closing;
            let Err(error) = self.write(batches) else { return true };
            self.leave();
            self.shared.trouble.store(true, Ordering::Relaxed);
            self.shared.failures.fetch_add(1, Ordering::Relaxed);
            if last_try {
                let records = self.shared.appended.load(Ordering::Relaxed) - self.shared.durable.borrow().records;
                tracing::error!(%error, records, "usage is lost: the disk fails, and the server ends");
                return false;
            }
            tracing::error!(%error, "usage could not be written down; no calls are let in until it can");
            let waiting = locked(&self.shared.waiting);
            let woken = self.shared.wake.wait_timeout_while(waiting, pause, |waiting| !waiting.closing);
            drop(woken);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Writes what is not durable yet, and makes it so.
    fn write(&mut self, batches: &[Sealed]) -> io::Result<()> {
        for batch in batches {
            if batch.seq <= self.synced {
                continue;
            }
            let length = batch.frame.len() as u64;
            if self.open.as_ref().is_some_and(|open| open.is_full(length)) {
                self.sync()?;
                self.leave();
            }
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.create(batch.seq)?,
            };
            let appended = self.shared.directory.append(&mut open.file, &batch.frame);
            open.length += length;
            (open.last, open.records) = (batch.seq, open.records + u64::from(batch.records));
            open.bytes += batch.frame.len() - frame::FRAME_HEAD;
            self.open = Some(open);
            appended?;
        }
        self.sync()
    }

    fn create(&mut self, first: i64) -> io::Result<Open> {
        self.number += 1;
        let segment = Segment { epoch: self.shared.stream.epoch, number: self.number };
        let file = self.shared.directory.create(segment, Head { stream: self.shared.stream, first })?;
        locked(&self.shared.segments).insert(segment, Extent { end: HEAD as u64, open: true });
        Ok(Open { segment, file, length: HEAD as u64, last: self.synced, records: 0, bytes: 0 })
    }

    /// Makes durable what was written, and says so.
    fn sync(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        self.shared.directory.sync_segment(&open.file)?;
        self.synced = open.last;
        if let Some(extent) = locked(&self.shared.segments).get_mut(&open.segment) {
            extent.end = open.length;
        }
        self.shared.bytes.fetch_sub(open.bytes, Ordering::Relaxed);
        let more = std::mem::take(&mut open.records);
        open.bytes = 0;
        // Before it is said: who hears of it may ask whether calls can be let in again.
        self.shared.trouble.store(false, Ordering::Relaxed);
        self.shared.durable.send_modify(|Durable { records, .. }| *records += more);
        Ok(())
    }

    /// Writes no more into the present segment. What is durable in it can still be read.
    fn leave(&mut self) {
        let Some(open) = self.open.take() else { return };
        if let Some(extent) = locked(&self.shared.segments).get_mut(&open.segment) {
            extent.open = false;
        }
    }

    /// Keeps some buffers, so that the next records need no memory.
    fn give_back(&self, batches: Vec<Sealed>) {
        let mut waiting = locked(&self.shared.waiting);
        for mut batch in batches {
            if waiting.spare.len() < SPARE {
                batch.frame.clear();
                waiting.spare.push(batch.frame);
            }
        }
    }
}

impl Open {
    fn is_full(&self, more: u64) -> bool {
        self.length > HEAD as u64 && self.length + more > LARGE_SEGMENT
    }
}
