//! Random lives of a journal: what was durable is in the database once, whatever happened.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
enum Step {
    Append(u64),
    Sync,
    Ship(usize),
    /// These of the next things fail that are asked of the disk.
    Fail(i64),
    /// The process ends in good order, and starts again.
    Restart,
    /// The machine dies, and another one starts with what was on the disk.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..120_u64).prop_map(Step::Append),
        3 => Just(Step::Sync),
        3 => (1..5_usize).prop_map(Step::Ship),
        1 => (0..64_i64).prop_map(Step::Fail),
        1 => Just(Step::Restart),
        2 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..25)
}

async fn live(steps: Vec<Step>) {
    let (mut place, mut fake) = (Place::new(), Fake::default());
    let (mut journal, mut batches) = place.open();
    let (mut next, mut durable) = (0, BTreeSet::new());
    for step in steps {
        match step {
            Step::Append(count) => {
                append(&journal, next..next + count);
                next += count;
            }
            Step::Sync => {
                assert!(journal.sync().await);
                durable.extend(since_start(&journal, next));
            }
            Step::Ship(most) => {
                if let Some(run) = next_run(&mut batches, most) {
                    batches.settle(fake.apply(&run));
                }
            }
            Step::Fail(which) => journal.shared.directory.faults.store(which, Ordering::SeqCst),
            Step::Restart => {
                journal.shared.directory.faults.store(0, Ordering::SeqCst);
                durable.extend(since_start(&journal, next));
                drop((journal, batches));
                (journal, batches) = place.open();
            }
            Step::Crash => {
                let image = place.image();
                drop((journal, batches));
                place = image;
                (journal, batches) = place.open();
            }
        }
    }
    journal.shared.directory.faults.store(0, Ordering::SeqCst);
    durable.extend(since_start(&journal, next));
    assert!(journal.sync().await);
    fake.ship(&mut batches, 50);
    let once: BTreeSet<_> = fake.records.iter().copied().collect();
    assert_eq!(once.len(), fake.records.len(), "something is there twice");
    assert!(durable.is_subset(&once), "something is lost: {:?}", durable.difference(&once).collect::<Vec<_>>());
    assert!(once.iter().all(|n| *n < next));
    assert!(fake.records.is_sorted(), "the order of records is that in which they were taken");
    assert_eq!(fake.missing, 0);
}

/// The records that this journal took since it was opened: the last ones.
fn since_start(journal: &Journal, next: u64) -> std::ops::Range<u64> {
    next - journal.figures().appended..next
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn durable_records_are_shipped_once_whatever_happens(steps in steps()) {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(live(steps));
    }
}
