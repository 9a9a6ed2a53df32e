//! Files that are cut short, and files in which something is different.

use super::*;
use crate::journal::frame::{self, HEAD, Head};
use tenantry_testkit::Random;

/// The stream of everything here.
const STREAM: Stream = Stream { node: NODE, epoch: NOW.0 };

/// A segment with its batches: where each begins, and what is in it.
struct Written {
    bytes: Vec<u8>,
    frames: Vec<(usize, Vec<u64>)>,
}

/// Batches of a few records each, numbered from `first`.
fn written(first: i64, batches: u64, random: &mut Random) -> Written {
    let mut written = Written { bytes: Head { stream: STREAM, first }.bytes(), frames: Vec::new() };
    let mut n = first.cast_unsigned() * 1_000;
    for place in 0..batches {
        let mut frame = frame::UNSEALED.to_vec();
        let numbers: Vec<u64> = (n..=n + random.below(4) as u64).collect();
        numbers.iter().for_each(|n| usage(*n).encode(&mut frame));
        n += numbers.len() as u64;
        let records = u32::try_from(numbers.len()).expect("few");
        frame::seal(&mut frame, STREAM, first + place.cast_signed(), records);
        written.frames.push((written.bytes.len(), numbers));
        written.bytes.extend(frame);
    }
    written
}

impl Written {
    /// What is in all batches but those for which `without` is true.
    fn records(&self, without: impl Fn(usize) -> bool) -> Vec<u64> {
        let kept = self.frames.iter().enumerate().filter(|(place, _)| !without(*place));
        kept.flat_map(|(_, (_, numbers))| numbers.clone()).collect()
    }

    /// The batch that a byte belongs to; `None` if it is of the head.
    fn batch_at(&self, byte: usize) -> Option<usize> {
        self.frames.iter().rposition(|(begin, _)| *begin <= byte)
    }
}

impl Place {
    fn segment(&self, number: u32) -> PathBuf {
        self.0.join(format!("{:020}-{number:08}.usage", STREAM.epoch))
    }

    /// A reader of what is there, without a journal.
    fn read(&self) -> Batches {
        let directory = Directory::open(&self.0).expect("the directory is free");
        let segments = directory.segments().expect("segments").into_iter().map(Extent::closed).collect();
        let stream = Stream { epoch: STREAM.epoch + 1, ..STREAM };
        Batches::new(Arc::new(Shared::new(directory, stream, segments)))
    }

    /// What a start would make of these segments.
    fn shipped(&self, segments: &[&[u8]]) -> Fake {
        for (number, bytes) in (1..).zip(segments) {
            std::fs::write(self.segment(number), bytes).expect("a file");
        }
        let mut fake = Fake::default();
        fake.ship(&mut self.read(), 7);
        fake
    }
}

#[test]
fn a_file_that_was_cut_anywhere_gives_all_batches_before_the_cut() {
    let (place, written) = (Place::new(), written(1, 8, &mut Random::new(1)));
    for cut in 0..=written.bytes.len() {
        let whole =
            |batch: usize| written.frames.get(batch + 1).map_or(written.bytes.len(), |(begin, _)| *begin) <= cut;
        let fake = place.shipped(&[&written.bytes[..cut]]);
        assert_eq!((fake.records, fake.missing), (written.records(|batch| !whole(batch)), 0), "{cut}");
        assert_eq!(place.files(), [0; 0].map(|_: i32| PathBuf::new()), "an end that was not written whole is normal");
    }
}

/// Ten thousand bits, each in a fresh copy of two segments: a batch is what was written, or is missed.
#[test]
fn a_bit_that_flips_is_found_wherever_it_is() {
    let (place, mut random) = (Place::new(), Random::new(2));
    let first = written(1, 20, &mut random);
    let second = written(21, 20, &mut random);
    for _ in 0..10_000 {
        let bit = random.below((first.bytes.len() + second.bytes.len()) * 8);
        let mut flipped = [first.bytes.clone(), second.bytes.clone()];
        let (file, byte) = if bit / 8 < first.bytes.len() { (0, bit / 8) } else { (1, bit / 8 - first.bytes.len()) };
        flipped[file][byte] ^= 1 << (bit % 8);
        let hit = [&first, &second][file].batch_at(byte);
        let fake = place.shipped(&[&flipped[0], &flipped[1]]);
        let records = [&first, &second]
            .into_iter()
            .enumerate()
            .flat_map(|(n, written)| written.records(|batch| n == file && hit == Some(batch)));
        assert_eq!(fake.records, records.collect::<Vec<_>>(), "bit {bit}");
        // Only the last batch of all could have been written by half.
        let last = file == 1 && hit == Some(19);
        assert_eq!(fake.missing, i64::from(hit.is_some() && !last), "bit {bit}");
        let aside = place.files();
        assert_eq!(aside.len(), usize::from(!last), "bit {bit}: what is damaged is kept for people to look at");
        aside.iter().for_each(|path| std::fs::remove_file(path).expect("put aside"));
    }
}

#[test]
fn a_batch_that_is_there_twice_counts_once() {
    let (place, mut random) = (Place::new(), Random::new(3));
    let whole = written(1, 9, &mut random);
    let from_seventh = [&Head { stream: STREAM, first: 7 }.bytes(), &whole.bytes[whole.frames[6].0..]].concat();
    // The first segment ends with half of the eighth batch.
    let cut = &whole.bytes[..whole.frames[7].0 + 30];
    let fake = place.shipped(&[cut, &from_seventh]);
    assert_eq!((fake.records, fake.missing), (whole.records(|_| false), 0));
}

#[test]
fn frames_of_other_files_are_none() {
    let (place, mut random) = (Place::new(), Random::new(4));
    let written = written(1, 3, &mut random);
    let mut foreign = frame::UNSEALED.to_vec();
    usage(1).encode(&mut foreign);
    frame::seal(&mut foreign, Stream { epoch: STREAM.epoch - 1, ..STREAM }, 4, 1);
    let fake = place.shipped(&[&[&written.bytes[..], &foreign].concat()]);
    assert_eq!((fake.records, fake.missing), (written.records(|_| false), 0));
}

#[test]
fn a_lost_segment_is_missed() {
    let (place, mut random) = (Place::new(), Random::new(5));
    let (first, third) = (written(1, 5, &mut random), written(9, 5, &mut random));
    let fake = place.shipped(&[&first.bytes, &third.bytes]);
    assert_eq!((fake.missing, fake.records), (3, [first.records(|_| false), third.records(|_| false)].concat()));
}

#[test]
fn what_a_newer_program_wrote_waits_for_it() {
    let place = Place::new();
    let mut head = Head { stream: STREAM, first: 1 }.bytes();
    head[8] += 1;
    let sum = crc32fast::hash(&head[..HEAD - 4]).to_le_bytes();
    head[HEAD - 4..].copy_from_slice(&sum);
    std::fs::write(place.segment(1), head).expect("a file");
    let refused = place.read().next_run(|_| true).expect_err("a newer version");
    assert!(refused.to_string().contains("newer program"), "{refused}");
    assert_eq!(place.files(), [place.segment(1)]);
}

#[test]
fn what_is_in_a_batch_is_not_believed_without_looking() {
    let place = Place::new();
    for (payload, records) in [(&b"\x01nonsense"[..], 1), (&[], 1)] {
        let mut frame = [&frame::UNSEALED[..], payload].concat();
        frame::seal(&mut frame, STREAM, 1, records);
        let bytes = [Head { stream: STREAM, first: 1 }.bytes(), frame].concat();
        std::fs::write(place.segment(1), bytes).expect("a file");
        let (_, found) = next_run(&mut place.read(), 1).expect("a batch");
        assert_eq!(found[0].records(), None);
    }
}
