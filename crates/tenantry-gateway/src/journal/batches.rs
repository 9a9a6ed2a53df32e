//! Reading the journal: the batches that are durable, in their order, first those that earlier starts left behind.
//!
//! Batches are numbered, so what is missing shows as a gap. After a crash the last batches of an epoch may be there in part or not
//! at all: nobody was told that they are durable. But where batches follow, those in between were: then the file is damaged,
//! which is told, and the file put aside instead of being deleted.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Bound;
use std::sync::Arc;

use tenantry_core::usage::Usage;

use super::directory::Segment;
use super::frame::{self, BadHead, HEAD, Head};
use super::{Extent, Shared, Stream, locked};

/// How much of a file is read at once.
const READ: u64 = 4 << 20;

/// One batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its number.
    pub seq: i64,
    records: u32,
    payload: Vec<u8>,
}

impl Batch {
    /// Its records. `None` if what is in it is not what was put in, though the checksum says so.
    #[must_use]
    pub fn records(&self) -> Option<Vec<Usage<'_>>> {
        let mut rest = self.payload.as_slice();
        let mut records = Vec::new();
        for _ in 0..self.records {
            let (usage, behind) = Usage::decode(rest)?;
            records.push(usage);
            rest = behind;
        }
        rest.is_empty().then_some(records)
    }
}

/// Some batches of one stream, in their order; never none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Whose.
    pub stream: Stream,
    /// They are those that follow this one.
    pub after: i64,
    /// The number of the last one.
    pub last: i64,
    /// How many there are.
    pub batches: i64,
}

impl Run {
    /// How many are missing among them.
    #[must_use]
    pub const fn missing(&self) -> i64 {
        self.last - self.after - self.batches
    }
}

/// The reader of a journal.
pub struct Batches {
    shared: Arc<Shared>,
    reading: Option<Reading>,
    /// The last segment that was read to its end.
    behind: Option<Segment>,
    /// Segments that were read to their end, and are there until all that is in them was settled.
    passed: Vec<Passed>,
    /// Whose batches are being read, up to which one they were handed out, and up to which one they were settled.
    stream: Option<Stream>,
    done: i64,
    settled: i64,
}

/// A segment that is being read.
struct Reading {
    segment: Segment,
    stream: Stream,
    file: File,
    /// The number of its first batch, as its head says.
    first: i64,
    /// How far the file is in `bytes`, and how far those are used up.
    loaded: u64,
    bytes: Vec<u8>,
    used: usize,
    /// The greatest number of a batch that was found in it.
    last: i64,
    damaged: bool,
}

struct Passed {
    segment: Segment,
    last: i64,
    damaged: bool,
}

impl Batches {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, reading: None, behind: None, passed: Vec::new(), stream: None, done: 0, settled: 0 }
    }

    /// The next batches, as many as are taken: `take` says of each whether another one is wanted. A run has to be settled before
    /// the next is asked for. `None` if nothing more is durable.
    ///
    /// # Errors
    /// If a file cannot be read, or was written by a newer program.
    pub fn next_run(&mut self, mut take: impl FnMut(&Batch) -> bool) -> io::Result<Option<Run>> {
        let mut run = None::<Run>;
        let mut more = true;
        while more {
            let batch = match self.next_batch(run.is_some()) {
                Ok(Some(batch)) => batch,
                // What was read so far is good; who asks again is told.
                Err(_) if run.is_some() => break,
                Err(error) => return Err(error),
                Ok(None) => break,
            };
            let Some(stream) = self.stream else { break };
            let after = self.done;
            let run = run.get_or_insert(Run { stream, after, last: after, batches: 0 });
            (run.last, run.batches) = (batch.seq, run.batches + 1);
            self.done = batch.seq;
            more = take(&batch);
        }
        if run.is_none() {
            self.forget();
        }
        Ok(run)
    }

    /// Says up to which number the batches of the last run's stream are in the database. If that is another one than the run's
    /// last, what is handed out next is what follows it: the database knows better.
    pub fn settle(&mut self, seq: i64) {
        self.settled = seq;
        if seq != self.done {
            self.rewind();
            self.done = seq;
        }
        self.forget();
    }

    /// Reads the stream again from the first segment of it that is still there.
    fn rewind(&mut self) {
        let Some(epoch) = self.stream.map(|stream| stream.epoch) else { return };
        self.reading = None;
        self.passed.retain(|passed| passed.segment.epoch != epoch);
        let before = Segment { epoch, number: 0 };
        self.behind = locked(&self.shared.segments).range(..before).next_back().map(|(segment, _)| *segment);
    }

    /// The next batch; only of the same stream, if more of a run is asked for.
    fn next_batch(&mut self, of_run: bool) -> io::Result<Option<Batch>> {
        loop {
            if self.reading.is_none() {
                let Some(segment) = self.next_segment() else { return Ok(None) };
                self.reading = Some(self.open(segment)?);
            }
            let Some(reading) = &mut self.reading else { return Ok(None) };
            if self.stream != Some(reading.stream) {
                if of_run {
                    return Ok(None);
                }
                self.enter();
                continue;
            }
            let segment = reading.segment;
            let extent = locked(&self.shared.segments).get(&segment).copied();
            let Some(Extent { end, open }) = extent else { return Ok(None) };
            if let Some(batch) = reading.next_batch(self.done, end)? {
                return Ok(Some(batch));
            }
            // What the disk did not take is written again into the next segment: before that, none is left.
            let live = segment.epoch == self.shared.stream.epoch;
            if open || (live && self.after(segment).is_none()) {
                return Ok(None);
            }
            self.pass();
        }
    }

    /// The segment to be read next.
    fn next_segment(&self) -> Option<Segment> {
        match self.behind {
            Some(segment) => self.after(segment),
            None => locked(&self.shared.segments).first_key_value().map(|(segment, _)| *segment),
        }
    }

    fn after(&self, segment: Segment) -> Option<Segment> {
        let behind = (Bound::Excluded(segment), Bound::Unbounded);
        locked(&self.shared.segments).range(behind).next().map(|(segment, _)| *segment)
    }

    fn open(&self, segment: Segment) -> io::Result<Reading> {
        let mut file = self.shared.directory.read(segment)?;
        let mut bytes = Vec::new();
        (&mut file).take(HEAD as u64).read_to_end(&mut bytes)?;
        let path = self.shared.directory.file(segment);
        let (head, damaged) = match Head::read(&bytes) {
            Ok(head) if head.stream.epoch == segment.epoch => (head, false),
            Err(BadHead::Newer(version)) => {
                let text = format!("{} was written by a newer program, in version {version}", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            // A crash while it was being made.
            Err(BadHead::Damaged) if bytes.len() < HEAD => (self.assumed(segment), false),
            _ => {
                tracing::error!(path = %path.display(), "the head of a usage segment is damaged");
                (self.assumed(segment), true)
            }
        };
        let Head { stream, first } = head;
        Ok(Reading { segment, stream, file, first, loaded: HEAD as u64, bytes: Vec::new(), used: 0, last: 0, damaged })
    }

    /// What a head should have said that says nothing.
    fn assumed(&self, segment: Segment) -> Head {
        let node = self.stream.filter(|stream| stream.epoch == segment.epoch).unwrap_or(self.shared.stream).node;
        Head { stream: Stream { node, epoch: segment.epoch }, first: 1 }
    }

    /// Begins with another stream. What its segments do not hold any more was settled, as far as is known here.
    fn enter(&mut self) {
        self.forget();
        let Some(reading) = &self.reading else { return };
        self.stream = Some(reading.stream);
        (self.done, self.settled) = (reading.first - 1, 0);
    }

    /// Leaves a segment that was read to its end.
    fn pass(&mut self) {
        let Some(reading) = self.reading.take() else { return };
        let (segment, rest) = (reading.segment, reading.bytes.len() - reading.used);
        self.behind = Some(segment);
        let more = self.next_segment().is_some_and(|next| next.epoch == segment.epoch);
        if rest > 0 && !more {
            let path = self.shared.directory.file(segment);
            tracing::warn!(path = %path.display(), bytes = rest, "the end of a usage segment had not been written whole");
        }
        let damaged = reading.damaged || (rest > 0 && more);
        self.passed.push(Passed { segment, last: reading.last, damaged });
    }

    /// Takes away what was settled. What stays for whatever reason is read again after the next start.
    fn forget(&mut self) {
        let (settled, epoch) = (self.settled, self.stream.map(|stream| stream.epoch));
        let (over, kept) = std::mem::take(&mut self.passed)
            .into_iter()
            .partition(|passed| Some(passed.segment.epoch) == epoch && passed.last <= settled);
        self.passed = kept;
        for Passed { segment, damaged, .. } in over {
            locked(&self.shared.segments).remove(&segment);
            let directory = &self.shared.directory;
            let path = directory.file(segment);
            let gone = if damaged {
                tracing::error!(path = %path.display(), "a usage segment is damaged; it is put aside");
                directory.put_aside(segment)
            } else {
                directory.remove(segment)
            };
            if let Err(error) = gone {
                tracing::warn!(%error, path = %path.display(), "a usage segment that is not needed any more stays");
            }
        }
    }
}

impl Reading {
    /// The next batch behind `done`, of what the file holds up to `end`.
    fn next_batch(&mut self, done: i64, end: u64) -> io::Result<Option<Batch>> {
        loop {
            let rest = self.bytes.get(self.used..).unwrap_or_default();
            if let Some(found) = frame::read(rest, self.stream) {
                let batch = (found.seq > done).then(|| Batch {
                    seq: found.seq,
                    records: found.records,
                    payload: found.payload.to_vec(),
                });
                self.last = self.last.max(found.seq);
                self.used += found.length();
                if batch.is_some() {
                    return Ok(batch);
                }
            } else if self.loaded < end {
                self.load(end)?;
            } else if let Some(place) = frame::find(&self.bytes, self.used + 1, self.stream) {
                self.damaged = true;
                self.used = place;
            } else {
                return Ok(None);
            }
        }
    }

    /// Reads on.
    fn load(&mut self, end: u64) -> io::Result<()> {
        let mut more = Vec::new();
        self.file.seek(SeekFrom::Start(self.loaded))?;
        let wanted = (end - self.loaded).min(READ);
        if ((&mut self.file).take(wanted).read_to_end(&mut more)? as u64) < wanted {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a usage segment is shorter than it was"));
        }
        self.bytes.drain(..self.used);
        self.bytes.append(&mut more);
        (self.used, self.loaded) = (0, self.loaded + wanted);
        Ok(())
    }
}
