//! Usage goes in once, on both engines, whatever is repeated and whoever else writes.

use std::collections::BTreeMap;

use tenantry_core::account::Limits;
use tenantry_core::usage::{Line, Outcome, Tally, Usage};
use tenantry_testkit::{Database, Random, both_engines};

use super::*;
use crate::{Location, Store};

const RUN: UsageRun = UsageRun { node: [7; 16], epoch: 5, after: 0, last: 3 };

async fn open(database: &Database) -> Store {
    Store::migrate(&Location::from(database.url.as_str()), Limits::DEFAULT).await.expect("migrate")
}

/// Counts some records; few different things are in them.
fn count(tally: &mut Tally, records: usize, random: &mut Random) {
    let id = |random: &mut Random, kinds| [u8::try_from(random.below(kinds)).expect("few") + 1; 16];
    for _ in 0..records {
        let depth = random.below(4) + 1;
        let line: Vec<_> = (0..depth).map(|_| AccountId::from_bytes(id(random, 3))).collect();
        let line = Line::new(line).expect("a line");
        tally.add(&Usage {
            at: Timestamp(random.below(100).cast_signed() as i64 * 1_800_000_000),
            line,
            actor: line.subject(),
            user: (random.below(2) == 0).then(|| UserId::from_bytes(id(random, 2))),
            key: KeyId::from_bytes(id(random, 3)),
            api: "voice",
            endpoint: EndpointId::from_bytes(id(random, 3)),
            credits: random.below(9).cast_signed() as i64,
            outcome: Outcome::of_status(if random.below(3) == 0 { 404 } else { 200 }),
        });
    }
}

/// Everything that is in the tables, by the rows' own columns.
async fn stored(store: &Store) -> BTreeMap<String, Sums> {
    let mut conn = store.db.begin_scan().await.expect("begin");
    let mut all = BTreeMap::new();
    for (sql, ids) in [
        ("SELECT * FROM usage_by_endpoint", &["endpoint_id"][..]),
        ("SELECT * FROM usage_by_user", &["user_id"]),
        ("SELECT * FROM usage_by_key", &["key_id", "endpoint_id", "user_id"]),
    ] {
        for row in conn.all(sql, vec![]).await.expect("rows") {
            let at = row.int("hour").or_else(|_| row.int("day")).expect("a time");
            let line: AccountId = row.id("line_id").expect("id");
            let named: Vec<AccountId> = ids.iter().map(|id| row.id(id).expect("id")).collect();
            all.insert(format!("{sql} {line} {at} {named:?}"), sums(&row).expect("sums"));
        }
    }
    conn.commit().await.expect("commit");
    assert_eq!(store.fsck().await.expect("fsck").findings, []);
    all
}

both_engines! {
    async fn a_run_counts_once_however_often_it_comes(database) {
        let (store, mut tally, mut random) = (open(&database).await, Tally::default(), Random::new(1));
        count(&mut tally, 300, &mut random);
        assert_eq!(store.usage_apply(RUN, &tally).await.expect("apply"), 3);
        let once = stored(&store).await;
        assert!(once.values().map(|sums| sums.calls).sum::<i64>() == 900 && once.len() > 100, "{}", once.len());
        // The same again, one that overlaps, and one behind a gap.
        for run in [RUN, UsageRun { last: 9, ..RUN }, UsageRun { after: 2, last: 4, ..RUN }, UsageRun { after: 4, last: 5, ..RUN }] {
            assert_eq!(store.usage_apply(run, &tally).await.expect("apply"), 3, "{run:?}");
        }
        assert_eq!(stored(&store).await, once);
        // What follows is added, and so is what another node, or another start, calls by the same numbers.
        let mut all = once.clone();
        for run in [UsageRun { after: 3, last: 4, ..RUN }, UsageRun { node: [8; 16], ..RUN }, UsageRun { epoch: 6, ..RUN }] {
            assert_eq!(store.usage_apply(run, &tally).await.expect("apply"), run.last);
            all.iter_mut().for_each(|(row, sums)| sums.add(once[row]));
            assert_eq!(stored(&store).await, all, "{run:?}");
        }
        // Nothing but the number of a batch may be in it.
        let empty = UsageRun { after: 4, last: 40, ..RUN };
        assert_eq!(store.usage_apply(empty, &Tally::default()).await.expect("apply"), 40);
        assert_eq!(stored(&store).await, all);
    }

    /// All write the same rows, again and again, in transactions that hold many of them.
    async fn nodes_that_write_at_once_do_not_wait_for_each_other_in_a_circle(database) {
        let store = open(&database).await;
        let (nodes, rounds) = (4_u8, 12);
        let mut whole = Tally::default();
        for node in 0..nodes {
            for round in 0..rounds {
                count(&mut whole, 200, &mut Random::new(u64::from(node) * 100 + round));
            }
        }
        let mut running = Vec::new();
        for node in 0..nodes {
            let store = store.clone();
            running.push(tokio::spawn(async move {
                for round in 0..rounds {
                    let mut tally = Tally::default();
                    count(&mut tally, 200, &mut Random::new(u64::from(node) * 100 + round));
                    let after = round.cast_signed();
                    let run = UsageRun { node: [node; 16], epoch: 1, after, last: after + 1 };
                    assert_eq!(store.usage_apply(run, &tally).await.expect("apply"), run.last);
                }
            }));
        }
        for task in running {
            task.await.expect("no deadlock");
        }
        // As if one node had done it all, in another database.
        let together = stored(&store).await;
        let alone = Database::sqlite();
        let other = open(&alone).await;
        other.usage_apply(RUN, &whole).await.expect("apply");
        assert_eq!(stored(&other).await, together);
    }

    async fn many_rows_go_in_at_once(database) {
        let store = open(&database).await;
        let mut conn = store.db.begin_write().await.expect("begin");
        let into = "INSERT INTO usage_line (line_id, ancestor_id, account_id)";
        let rows = |count: u8| {
            let ids = (0..count).map(|n| AccountId::from_bytes([n; 16]));
            ids.flat_map(|id| args![id, id, id]).collect::<Vec<_>>()
        };
        for (count, new) in [(0, 0), (1, 1), (67, 66), (200, 133), (200, 0)] {
            let inserted = conn.insert_all(into, "ON CONFLICT (line_id, ancestor_id) DO NOTHING", 3, rows(count)).await;
            assert_eq!(inserted.expect("insert"), new, "{count}");
        }
        let row = conn.one("SELECT COUNT(*) AS n FROM usage_line WHERE line_id = account_id AND ancestor_id = account_id", vec![]).await;
        assert_eq!(row.expect("one").int("n").expect("n"), 200);
    }
}
