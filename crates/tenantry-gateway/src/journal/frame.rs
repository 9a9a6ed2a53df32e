//! How the files look: a head that says whose segment it is, then frames, each of them one batch.
//!
//! All numbers are little-endian. The checksum of a frame is made over the node and the epoch as well, so that bytes of another
//! file are no frame here, and a frame can be told from chance without the head of its file.

use crc32fast::Hasher;

use super::Stream;

/// The length of the head of a file.
pub(super) const HEAD: usize = 48;
const FILE_MAGIC: [u8; 8] = *b"tnyusage";
const VERSION: u32 = 1;

/// The length of the head of a frame.
pub(super) const FRAME_HEAD: usize = 24;
const FRAME_MAGIC: [u8; 4] = [0xf7, b't', b'n', 0x1e];

/// Where the head of a frame will be.
pub(super) const UNSEALED: [u8; FRAME_HEAD] = [0; FRAME_HEAD];

/// No frame is longer: what says so is damaged.
const LONGEST: usize = 2 << 20;

/// What the head of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) stream: Stream,
    /// The number of the first batch in it.
    pub(super) first: i64,
}

/// Why the head of a file says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHead {
    /// It is not what was written.
    Damaged,
    /// It was written by a newer program.
    Newer(u32),
}

impl Head {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD);
        bytes.extend(FILE_MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.stream.node);
        bytes.extend(self.stream.epoch.to_le_bytes());
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, BadHead> {
        let whole = bytes.get(..HEAD).ok_or(BadHead::Damaged)?;
        let (said, sum) = whole.split_at(HEAD - 4);
        if sum != crc32fast::hash(said).to_le_bytes() {
            return Err(BadHead::Damaged);
        }
        let mut rest = said;
        let mut read = || {
            let magic: [u8; 8] = take(&mut rest)?;
            let version = u32::from_le_bytes(take(&mut rest)?);
            let stream = Stream { node: take(&mut rest)?, epoch: i64::from_le_bytes(take(&mut rest)?) };
            let first = i64::from_le_bytes(take(&mut rest)?);
            (magic == FILE_MAGIC).then_some((version, Self { stream, first }))
        };
        match read() {
            Some((VERSION, head)) => Ok(head),
            Some((version, _)) => Err(BadHead::Newer(version)),
            None => Err(BadHead::Damaged),
        }
    }
}

/// A batch as it stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) seq: i64,
    pub(super) records: u32,
    pub(super) payload: &'a [u8],
}

/// Fills in the head of a frame.
pub(super) fn seal(frame: &mut [u8], stream: Stream, seq: i64, records: u32) {
    let Some((head, payload)) = frame.split_first_chunk_mut::<FRAME_HEAD>() else { return };
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let sum = checksum(stream, length, records, seq, payload);
    let mut fields = FRAME_MAGIC.into_iter().chain(length.to_le_bytes()).chain(records.to_le_bytes());
    let mut more = seq.to_le_bytes().into_iter().chain(sum.to_le_bytes());
    head.fill_with(|| fields.next().or_else(|| more.next()).unwrap_or_default());
}

/// Reads the frame at the beginning of `bytes`, if there is a whole one.
pub(super) fn read(bytes: &[u8], stream: Stream) -> Option<Frame<'_>> {
    let mut rest = bytes;
    if take(&mut rest)? != FRAME_MAGIC {
        return None;
    }
    let length = u32::from_le_bytes(take(&mut rest)?);
    let records = u32::from_le_bytes(take(&mut rest)?);
    let seq = i64::from_le_bytes(take(&mut rest)?);
    let sum = u32::from_le_bytes(take(&mut rest)?);
    let payload = rest.get(..usize::try_from(length).ok().filter(|length| *length <= LONGEST)?)?;
    let sound = seq > 0 && records > 0 && sum == checksum(stream, length, records, seq, payload);
    sound.then_some(Frame { seq, records, payload })
}

/// Where the first whole frame is, from this place on.
pub(super) fn find(bytes: &[u8], from: usize, stream: Stream) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let candidates = rest.windows(FRAME_MAGIC.len()).enumerate().filter(|(_, window)| *window == FRAME_MAGIC);
    candidates
        .map(|(place, _)| from + place)
        .find(|place| bytes.get(*place..).is_some_and(|b| read(b, stream).is_some()))
}

impl Frame<'_> {
    /// How long it is with its head.
    pub(super) const fn length(&self) -> usize {
        FRAME_HEAD + self.payload.len()
    }
}

fn checksum(stream: Stream, length: u32, records: u32, seq: i64, payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&stream.node);
    hasher.update(&stream.epoch.to_le_bytes());
    hasher.update(&length.to_le_bytes());
    hasher.update(&records.to_le_bytes());
    hasher.update(&seq.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}
