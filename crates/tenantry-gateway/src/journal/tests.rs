//! The journal with a database that is a list, on disks that fail and through ends of all kinds.

mod damage;
mod script;

use std::collections::BTreeMap;
use std::path::PathBuf;

use tenantry_core::id::{AccountId, EndpointId, Id as _, KeyId};
use tenantry_core::usage::{Line, Outcome};
use tenantry_testkit::fresh_directory;

use super::*;
use crate::journal::batches::{Batch, Run};

const NODE: [u8; 16] = [7; 16];
const NOW: Timestamp = Timestamp(1_000);

/// A directory that is taken away with this value.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        Self(fresh_directory("usage"))
    }

    /// The same files in another directory: what a start would find if the machine died now.
    fn image(&self) -> Self {
        let image = Self::new();
        for entry in std::fs::read_dir(&self.0).expect("a directory").map(|entry| entry.expect("an entry")) {
            // Segments that are settled meanwhile are not in the picture.
            let _ = std::fs::copy(entry.path(), image.0.join(entry.file_name()));
        }
        image
    }

    fn open(&self) -> (Journal, Batches) {
        Journal::open(&self.0, NODE, NOW).expect("the directory is free")
    }

    /// The segments, and what was put aside.
    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).expect("a directory").map(|entry| entry.expect("an entry").path());
        let mut files: Vec<_> =
            entries.filter(|path| path.extension().is_some_and(|e| e == "usage" || e == "damaged")).collect();
        files.sort();
        files
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A record that can be told from all others.
fn usage(n: u64) -> Usage<'static> {
    let key = u128::from(n).to_be_bytes();
    let line = Line::new([AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16])]).expect("a line");
    Usage {
        at: Timestamp(n.cast_signed()),
        line,
        actor: line.subject(),
        user: None,
        key: KeyId::from_bytes(key),
        api: "voice",
        endpoint: EndpointId::from_bytes([3; 16]),
        credits: 5,
        outcome: Outcome::Success,
    }
}

fn append(journal: &Journal, numbers: impl IntoIterator<Item = u64>) {
    for n in numbers {
        journal.append(&usage(n)).expect("taken");
    }
}

/// What the database does, without one.
#[derive(Default, Clone)]
struct Fake {
    cursors: BTreeMap<([u8; 16], i64), i64>,
    records: Vec<u64>,
    missing: i64,
}

impl Fake {
    fn apply(&mut self, (run, found): &(Run, Vec<Batch>)) -> i64 {
        let cursor = self.cursors.entry((run.stream.node, run.stream.epoch)).or_default();
        if *cursor == run.after {
            *cursor = run.last;
            self.missing += run.missing();
            for batch in found {
                for found in batch.records().expect("records") {
                    let n = u64::try_from(u128::from_be_bytes(found.key.bytes())).expect("a number");
                    assert_eq!(found, usage(n));
                    self.records.push(n);
                }
            }
        }
        *cursor
    }

    fn ship(&mut self, batches: &mut Batches, most: usize) {
        while let Some(run) = next_run(batches, most) {
            batches.settle(self.apply(&run));
        }
    }
}

/// The next batches, up to `most`.
fn next_run(batches: &mut Batches, most: usize) -> Option<(Run, Vec<Batch>)> {
    let mut found = Vec::new();
    let run = batches.next_run(|batch| {
        found.push(batch.clone());
        found.len() < most
    });
    run.expect("readable").map(|run| (run, found))
}

#[tokio::test]
async fn what_is_durable_is_read_once_and_in_order() {
    let (place, mut fake) = (Place::new(), Fake::default());
    let (journal, mut batches) = place.open();
    assert_eq!(next_run(&mut batches, 1), None);
    for round in 0..20 {
        append(&journal, round * 100..(round + 1) * 100);
        assert!(journal.sync().await);
        fake.ship(&mut batches, 30);
    }
    assert_eq!((fake.records.clone(), fake.missing), ((0..2_000).collect(), 0));
    // All but the last one, to which more could be appended.
    assert_eq!(place.files().len(), 1);
    assert_eq!(journal.figures(), Figures { appended: 2_000, waiting: 0, failures: 0 });
    drop((journal, batches));
    // The next start finds it, is told that it was settled, and takes it away.
    let (_journal, mut batches) = place.open();
    fake.ship(&mut batches, 30);
    assert_eq!((fake.records.len(), place.files().len()), (2_000, 0));
}

#[tokio::test]
async fn a_crash_loses_nothing_that_is_durable_and_doubles_nothing() {
    let (place, mut fake) = (Place::new(), Fake::default());
    let (journal, mut batches) = place.open();
    append(&journal, 0..500);
    assert!(journal.sync().await);
    // Some of it is in the database already, and more is written.
    for _ in 0..3 {
        if let Some(run) = next_run(&mut batches, 1) {
            batches.settle(fake.apply(&run));
        }
    }
    append(&journal, 500..900);
    assert!(journal.sync().await);
    let (first, second) = (place.image(), place.image());
    let (_journal, mut after) = first.open();
    fake.ship(&mut after, 1_000);
    assert_eq!(fake.records, (0..900).collect::<Vec<_>>());
    // An old copy of the directory is shipped once more, and then the server that was thought to be dead ships, too.
    let (_journal, mut copy) = second.open();
    fake.ship(&mut copy, 70);
    fake.ship(&mut batches, 10);
    assert_eq!((fake.records, fake.missing), ((0..900).collect(), 0));
}

#[tokio::test]
async fn a_database_from_a_backup_gets_what_is_still_there() {
    let (place, mut fake) = (Place::new(), Fake::default());
    let (journal, mut batches) = place.open();
    let mut backup = Fake::default();
    for n in 0..400 {
        append(&journal, [n]);
        assert!(journal.sync().await);
        if n == 380 {
            backup = fake.clone();
        }
        fake.ship(&mut batches, 1);
    }
    append(&journal, [400]);
    assert!(journal.sync().await);
    backup.ship(&mut batches, 1);
    assert_eq!((backup.records, backup.missing), ((0..=400).collect(), 0));
    // From further back some are gone, and that is told.
    let mut older = Fake::default();
    append(&journal, [401]);
    assert!(journal.sync().await);
    older.ship(&mut batches, 1);
    let (last, gone) = (older.records.len(), older.missing);
    assert_eq!((older.records.last(), last as i64 + gone), (Some(&401), 402));
    assert!(gone > 0);
}

#[tokio::test]
async fn what_was_not_settled_stays() {
    let place = Place::new();
    for round in 0..3 {
        let (journal, mut batches) = place.open();
        append(&journal, round * 1_000..(round + 1) * 1_000);
        assert!(journal.sync().await);
        while next_run(&mut batches, 2).is_some() {}
    }
    let (_journal, mut batches) = place.open();
    let mut fake = Fake::default();
    fake.ship(&mut batches, 100);
    assert_eq!((fake.records, fake.missing), ((0..3_000).collect(), 0));
}

#[tokio::test]
async fn nobody_else_has_the_directory_meanwhile() {
    let place = Place::new();
    let (journal, batches) = place.open();
    let refused = Journal::open(&place.0, NODE, NOW).err().expect("it is in use");
    assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
    assert!(refused.to_string().contains("in use") && refused.to_string().contains(place.0.to_str().expect("text")));
    journal.close();
    drop(batches);
    assert!(Journal::open(&place.0, NODE, NOW).is_err(), "it might be read still");
    journal.release();
    assert_eq!(journal.append(&usage(1)), Err(NotTaken::Closed));
    assert!(!journal.has_room());
    drop(place.open());
    let file = place.0.join("file");
    std::fs::write(&file, "").expect("a file");
    assert!(Journal::open(&file, NODE, NOW).is_err(), "no directory");
}

#[tokio::test]
async fn every_start_is_an_epoch_of_its_own_even_if_the_clock_stands() {
    let (place, mut fake) = (Place::new(), Fake::default());
    let mut epochs = Vec::new();
    for n in 0..6 {
        let (journal, mut batches) = place.open();
        epochs.push(journal.shared.stream);
        // Some leave nothing behind.
        if n % 2 == 0 {
            append(&journal, [n]);
            assert!(journal.sync().await);
            fake.ship(&mut batches, 1);
        }
    }
    assert!(epochs.windows(2).all(|two| two[0].epoch < two[1].epoch && two[0].node == two[1].node), "{epochs:?}");
    assert_eq!((fake.records, epochs[0]), (vec![0, 2, 4], Stream { node: NODE, epoch: NOW.0 }));
    // Another directory is another node; what names none is refused.
    std::fs::write(place.0.join("node"), "7\n").expect("a file");
    let refused = Journal::open(&place.0, NODE, NOW).err().expect("no node");
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_record_that_makes_no_sense_is_refused_and_leaves_nothing() {
    let (place, mut fake) = (Place::new(), Fake::default());
    let (journal, mut batches) = place.open();
    let api = "x".repeat(LARGEST_RECORD);
    assert_eq!(journal.append(&Usage { api: &api, ..usage(1) }), Err(NotTaken::TooLong));
    append(&journal, [2]);
    assert_eq!(journal.append(&Usage { api: &api, ..usage(3) }), Err(NotTaken::TooLong));
    assert!(journal.sync().await);
    fake.ship(&mut batches, 1);
    assert_eq!((fake.records, journal.figures().appended), (vec![2], 1));
}

#[tokio::test]
async fn what_a_disk_did_not_take_is_written_again() {
    let (place, mut fake) = (Place::new(), Fake::default());
    let (journal, mut batches) = place.open();
    append(&journal, 0..10);
    assert!(journal.sync().await);
    let faults = &journal.shared.directory.faults;
    // Half a write; a sync; the making of the next segment as well; and the last of three batches with a segment each, when
    // the others are durable.
    let mut n = 10;
    for (count, failing) in [(10, 0b1), (10, 0b10), (10, 0b11), (10_000, 0b10_0000_0000)] {
        faults.store(failing, Ordering::SeqCst);
        append(&journal, n..n + count);
        n += count;
        assert!(journal.sync().await);
        assert!(journal.has_room(), "the disk works again");
        let Figures { appended, waiting, .. } = journal.figures();
        assert_eq!((appended, waiting, journal.shared.durable.borrow().records), (n, 0, n));
    }
    assert_eq!(journal.figures().failures, 5);
    let image = place.image();
    fake.ship(&mut batches, 1);
    assert_eq!((&fake.records, fake.missing), (&(0..n).collect(), 0));
    let mut again = Fake::default();
    let (_journal, mut batches) = image.open();
    again.ship(&mut batches, 1_000);
    assert_eq!((&again.records, again.missing), (&fake.records, 0));
}

#[tokio::test]
async fn a_disk_that_is_gone_lets_no_calls_in_and_does_not_keep_the_server() {
    let place = Place::new();
    let (journal, _batches) = place.open();
    journal.shared.directory.faults.store(-1, Ordering::SeqCst);
    let first = journal.append(&usage(0)).expect("taken");
    while journal.has_room() {
        tokio::task::yield_now().await;
    }
    // Calls that were let in before are recorded still, as long as there is memory.
    let mut taken: u64 = 1;
    while journal.append(&usage(taken)).is_ok() {
        taken += 1;
    }
    assert_eq!(journal.append(&usage(0)), Err(NotTaken::Full));
    let figures = journal.figures();
    assert!(figures.appended == taken && figures.waiting >= LIMIT && figures.failures > 0, "{figures:?}");
    let (durable, ()) = tokio::join!(journal.durable(first), async { journal.close() });
    assert!(!durable && !journal.sync().await && !journal.has_room());
}
