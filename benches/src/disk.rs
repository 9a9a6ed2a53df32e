//! The floor below all floors: how long the disk takes to make one append durable.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Result;

/// As much as one small transaction adds to a log.
const APPEND: [u8; 4096] = [0x5a; 4096];

/// A file that is appended to.
#[derive(Debug)]
pub(crate) struct Disk {
    file: File,
}

impl Disk {
    /// Makes the file beside the databases.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        Ok(Self { file: File::create(directory.join("appended"))? })
    }

    /// Appends 4 KiB and waits until they are durable. Blocks: nothing else is measured meanwhile.
    pub(crate) fn append(&mut self) -> Result<Duration> {
        let start = Instant::now();
        self.file.write_all(&APPEND)?;
        self.file.sync_data()?;
        Ok(start.elapsed())
    }
}
