//! The directory of a journal: its segments, its lock, and the file that says which node this is.
//!
//! What is made or taken away here is durable when the function returns: the directory is synced, too.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::Stream;
use super::frame::Head;

const LOCK: &str = "lock";
const NODE: &str = "node";
const NEW_NODE: &str = "node.new";
const EXTENSION: &str = ".usage";

/// A file with batches. They are in the order in which they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    pub(super) epoch: i64,
    pub(super) number: u32,
}

impl Segment {
    fn name(self) -> String {
        format!("{:020}-{:08}{EXTENSION}", self.epoch, self.number)
    }

    /// The segment of a file name; only of one that is written in our way.
    fn of(name: &str) -> Option<Self> {
        let (epoch, number) = name.strip_suffix(EXTENSION)?.split_once('-')?;
        let segment = Self { epoch: epoch.parse().ok()?, number: number.parse().ok()? };
        (segment.epoch > 0 && segment.name() == name).then_some(segment)
    }
}

/// An open directory, which nobody else has.
pub(super) struct Directory {
    path: PathBuf,
    /// For syncing.
    handle: File,
    lock: File,
    /// Which of the next things fail that are asked of the disk: one bit each, the lowest first. -1 is all of them.
    #[cfg(test)]
    pub(super) faults: std::sync::atomic::AtomicI64,
}

impl Directory {
    /// Makes the directory if it is missing, and takes its lock.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = private().truncate(false).open(path.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(io::ErrorKind::ResourceBusy, "in use by another process"),
            TryLockError::Error(error) => error,
        })?;
        let handle = File::open(path)?;
        Ok(Self {
            path: path.to_owned(),
            handle,
            lock,
            #[cfg(test)]
            faults: std::sync::atomic::AtomicI64::new(0),
        })
    }

    /// Lets others have the directory.
    pub(super) fn unlock(&self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, path = %self.path.display(), "the lock of the usage journal stays until the process ends");
        }
    }

    /// Begins an epoch: later than those of which there are segments, and than the last one, of which there may be none any
    /// more. Without that, the number of a batch could be one that was given before.
    pub(super) fn begin(&self, fresh: [u8; 16], now: i64, newest: i64) -> io::Result<Stream> {
        let path = self.path.join(NODE);
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "the file `node` does not name one");
        let last = match fs::read_to_string(&path) {
            Ok(text) => read_node(&text).ok_or_else(wrong)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stream { node: fresh, epoch: 0 },
            Err(error) => return Err(error),
        };
        let stream = Stream { node: last.node, epoch: now.max(last.epoch + 1).max(newest + 1) };
        let new = self.path.join(NEW_NODE);
        let mut file = private().truncate(true).open(&new)?;
        file.write_all(node_text(stream).as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        self.sync()?;
        Ok(stream)
    }

    /// All segments, and how long they are.
    pub(super) fn segments(&self) -> io::Result<Vec<(Segment, u64)>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if let Some(segment) = entry.file_name().to_str().and_then(Segment::of) {
                segments.push((segment, entry.metadata()?.len()));
            }
        }
        Ok(segments)
    }

    /// Makes a segment with its head.
    pub(super) fn create(&self, segment: Segment, head: Head) -> io::Result<File> {
        self.fault()?;
        let path = self.file(segment);
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        let written = file.write_all(&head.bytes()).and_then(|()| file.sync_all()).and_then(|()| self.sync());
        if written.is_err() {
            // Of what is not there, nothing has to be read.
            let _ = fs::remove_file(&path);
        }
        written.map(|()| file)
    }

    /// Appends to a segment.
    pub(super) fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.fault() {
            file.write_all(bytes.get(..bytes.len() / 2).unwrap_or_default())?;
            return Err(error);
        }
        file.write_all(bytes)
    }

    /// Makes what was appended durable.
    pub(super) fn sync_segment(&self, file: &File) -> io::Result<()> {
        self.fault()?;
        file.sync_data()
    }

    /// Opens a segment for reading.
    pub(super) fn read(&self, segment: Segment) -> io::Result<File> {
        File::open(self.file(segment))
    }

    /// Takes a segment away that nobody needs any more.
    pub(super) fn remove(&self, segment: Segment) -> io::Result<()> {
        fs::remove_file(self.file(segment))?;
        self.sync()
    }

    /// Puts a segment aside in which something is damaged, for people to look at.
    pub(super) fn put_aside(&self, segment: Segment) -> io::Result<()> {
        let path = self.file(segment);
        fs::rename(&path, path.with_extension("damaged"))?;
        self.sync()
    }

    pub(super) fn file(&self, segment: Segment) -> PathBuf {
        self.path.join(segment.name())
    }

    fn sync(&self) -> io::Result<()> {
        // No test takes the power away, and some make thousands of files.
        if cfg!(test) { Ok(()) } else { self.handle.sync_all() }
    }

    #[cfg(not(test))]
    fn fault(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn fault(&self) -> io::Result<()> {
        use std::sync::atomic::Ordering;
        let faults = self.faults.load(Ordering::SeqCst);
        self.faults.store(faults >> 1, Ordering::SeqCst);
        if faults & 1 == 1 { Err(io::Error::other("a fault of the disk")) } else { Ok(()) }
    }
}

/// For files that nobody else is to read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

fn node_text(stream: Stream) -> String {
    format!("{:032x} {}\n", u128::from_be_bytes(stream.node), stream.epoch)
}

fn read_node(text: &str) -> Option<Stream> {
    let (node, epoch) = text.strip_suffix('\n')?.split_once(' ')?;
    let stream = Stream { node: u128::from_str_radix(node, 16).ok()?.to_be_bytes(), epoch: epoch.parse().ok()? };
    (node_text(stream) == text).then_some(stream)
}
