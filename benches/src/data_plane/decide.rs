//! How long a decision takes in process: no network, and a database only beside it.

use std::hint::black_box;
use std::time::Instant;

use tenantry_core::method::Method;
use tenantry_core::secret;
use tenantry_core::snapshot::{Presented, Request, Snapshot};

use super::chained::Chained;
use super::lookup::Lookup;
use super::peers::Peers;
use super::shape::{self, FAN_OUT, Shuffled, TARGET, hash};
use super::world::{self, NOW};
use super::{memory, row};
use crate::Result;
use crate::options::Options;
use crate::scratch::Scratch;
use crate::stats::{median, nanos, part, ratio, thousands};
use crate::table::Row;

const CALLS: usize = 100_000;
/// How many keys are hot.
pub(crate) const HOT: usize = 1_000;
/// Of what takes longer than a decision, fewer are made.
const FEW_CALLS: usize = 5_000;
/// How often the next snapshot is made.
const CHANGES: usize = 101;

/// Measures decisions and what is beside them in turns.
pub(crate) async fn run(scratch: &mut Scratch, options: &Options) -> Result<Vec<Row>> {
    let keys = shape::texts(options.accounts);
    let hashes: Vec<[u8; 32]> = keys.iter().map(|text| hash(text)).collect();
    let leaves = shape::leaves(options.accounts)?;
    let (snapshot, mut rows) = memory::measured(&leaves, &hashes)?;
    let mut order = Shuffled(options.accounts as u64);
    let random: Vec<usize> = (0..CALLS).map(|_| order.below(hashes.len())).collect();
    let hot: Vec<usize> = random.iter().map(|place| place % HOT.min(hashes.len())).collect();
    let mut floors = Floors::prepare(scratch, &hashes).await?;
    let mut times = Times::default();
    for _ in 0..options.rounds {
        times.sha.push(each(&hot, |place| keys.get(place).map(|text| hash(black_box(text)))));
        times.hot.push(each(&hot, |place| keys.get(place).map(|text| ask(&snapshot, present(black_box(text))))));
        times.known.push(each(&hot, |place| hashes.get(place).map(|hash| ask(&snapshot, Presented::Hash(*hash)))));
        times.random.push(one_by_one(&random, &hashes, |hash| ask(&snapshot, Presented::Hash(*hash))));
        floors.measure(&mut times, &hot, &random, &hashes).await?;
    }
    let (changed, copied) = changes(&snapshot, leaves.last().copied().unwrap_or_default());
    let mut decided = times.rows(hashes.len());
    let copy = format!("a copy of a snapshot alone: {}", nanos(copied));
    decided.push(row(
        "a change of one account, to the next snapshot",
        nanos(changed),
        copy,
        ratio(changed, copied),
        "",
    ));
    decided.append(&mut rows);
    Ok(decided)
}

/// What decisions are measured beside.
struct Floors {
    chained: Chained,
    lookup: Lookup,
    peers: Peers,
}

impl Floors {
    async fn prepare(scratch: &mut Scratch, hashes: &[[u8; 32]]) -> Result<Self> {
        let (lookup, peers) = (Lookup::prepare(scratch, hashes).await?, Peers::prepare().await?);
        Ok(Self { chained: Chained::new(hashes), lookup, peers })
    }

    async fn measure(&mut self, times: &mut Times, hot: &[usize], all: &[usize], hashes: &[[u8; 32]]) -> Result<()> {
        times.chained.push(one_by_one(all, hashes, |hash| self.chained.find(hash).is_some()));
        let (hot, all) = (hot.get(..FEW_CALLS).unwrap_or(hot), all.get(..FEW_CALLS).unwrap_or(all));
        for (places, took) in [(hot, &mut times.driver_hot), (all, &mut times.driver_random)] {
            let start = Instant::now();
            for hash in places.iter().filter_map(|place| hashes.get(*place)) {
                self.lookup.by_driver(hash).await?;
            }
            took.push(mean(start, places.len()));
        }
        times.sqlite_hot.extend(self.lookup.direct(hot, hashes)?);
        times.sqlite_random.extend(self.lookup.direct(all, hashes)?);
        for (took, mean) in times.casbin.iter_mut().zip(self.peers.casbin(hot)) {
            took.extend(mean);
        }
        for (took, mean) in times.cedar.iter_mut().zip(self.peers.cedar(hot)) {
            took.extend(mean);
        }
        Ok(())
    }
}

/// What was measured, in nanoseconds.
#[derive(Default)]
struct Times {
    sha: Vec<u64>,
    hot: Vec<u64>,
    known: Vec<u64>,
    random: Vec<u64>,
    chained: Vec<u64>,
    sqlite_hot: Vec<u64>,
    sqlite_random: Vec<u64>,
    driver_hot: Vec<u64>,
    driver_random: Vec<u64>,
    /// With one policy, and with the rules of a tree.
    casbin: [Vec<u64>; 2],
    cedar: [Vec<u64>; 2],
}

impl Times {
    fn rows(self, keys: usize) -> Vec<Row> {
        let (hot, known, random) = (median(self.hot), median(self.known), median(self.random));
        let (sha, chained) = (median(self.sha), median(self.chained));
        let named = |what: &str| format!("decision, {what}");
        let (text, all) =
            (named("1,000 keys, from the text"), named(&format!("{} keys at random", thousands(keys as u64))));
        let floor = |what: &str, took: u64| format!("{what}: {}", nanos(took));
        let mut rows = vec![
            row(&text, nanos(hot), floor("SHA-256 of a key", sha), ratio(hot, sha), "≤ 3"),
            row(&named("1,000 keys, hash known"), nanos(known), floor("SHA-256 of a key", sha), ratio(known, sha), ""),
            row(&all, nanos(random), floor("a look-up among linked entries", chained), ratio(random, chained), "≤ 2"),
        ];
        let selected = "`SELECT` by primary key, SQLite";
        let driven = "the same through the driver of the store";
        let [one, tree] = ["one policy", "the rules of one tree"].map(|rules| format!("5 levels, 1,000 keys, {rules}"));
        let ([casbin_one, casbin_tree], [cedar_one, cedar_tree]) = (self.casbin, self.cedar);
        for (what, took, beside, floors, goal) in [
            (&text, hot, selected, self.sqlite_hot, "≤ 1/20"),
            (&all, random, selected, self.sqlite_random, "≤ 1/20"),
            (&text, hot, driven, self.driver_hot, "≤ 1/20"),
            (&all, random, driven, self.driver_random, "≤ 1/20"),
            (&text, hot, &*format!("casbin, {one}"), casbin_one.clone(), "≤ 1/15"),
            (&all, random, &*format!("casbin, {one}"), casbin_one, "≤ 1/15"),
            (&text, hot, &*format!("casbin, {tree}"), casbin_tree.clone(), "≤ 1/15"),
            (&all, random, &*format!("casbin, {tree}"), casbin_tree, "≤ 1/15"),
            (&text, hot, &*format!("Cedar, {one}"), cedar_one.clone(), "≤ 1/50"),
            (&all, random, &*format!("Cedar, {one}"), cedar_one, "≤ 1/50"),
            (&text, hot, &*format!("Cedar, {tree}"), cedar_tree.clone(), "≤ 1/50"),
            (&all, random, &*format!("Cedar, {tree}"), cedar_tree, "≤ 1/50"),
        ] {
            // Those of other people are there only if they were built.
            if !floors.is_empty() {
                let took_beside = median(floors);
                rows.push(row(what, nanos(took), floor(beside, took_beside), part(took, took_beside), goal));
            }
        }
        rows
    }
}

/// The mean time of one piece of work, in nanoseconds. What it answers has to be something.
pub(crate) fn each<T>(places: &[usize], mut work: impl FnMut(usize) -> Option<T>) -> u64 {
    let start = Instant::now();
    let found = places.iter().filter(|place| black_box(work(**place)).is_some()).count();
    if found == places.len() { mean(start, found) } else { u64::MAX }
}

fn mean(start: Instant, times: usize) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX) / (times.max(1) as u64)
}

/// The same for hashes that are asked about one after the other: which is next depends on the answer before, as it does when a
/// request has to be answered before the next one comes. Otherwise the processor would fetch several at once.
fn one_by_one(places: &[usize], hashes: &[[u8; 32]], mut is: impl FnMut(&[u8; 32]) -> bool) -> u64 {
    let (start, mut off) = (Instant::now(), 0);
    for place in places {
        off += hashes.get(place + off).map_or(1, |hash| usize::from(!black_box(is(black_box(hash)))));
    }
    let took = mean(start, places.len());
    if black_box(off) > 0 { u64::MAX } else { took }
}

fn present(text: &str) -> Presented {
    if secret::label_of(text).is_ok() { Presented::Hash(hash(text)) } else { Presented::Malformed }
}

/// A call that passes all steps.
fn ask(snapshot: &Snapshot, presented: Presented) -> bool {
    let request = Request {
        presented,
        assume: None,
        address: Some(std::net::Ipv4Addr::new(192, 0, 2, 7).into()),
        method: Method::Get,
        target: black_box(TARGET),
        resource: None,
        now: NOW,
    };
    snapshot.decide(&request).outcome.is_ok()
}

/// What it takes to make the next snapshot, and to copy one.
fn changes(snapshot: &Snapshot, last: usize) -> (u64, u64) {
    let (mut changed, mut copied) = (Vec::new(), Vec::new());
    for number in 0..CHANGES {
        let start = Instant::now();
        let next = black_box(snapshot.apply([world::place(last, Some(number % FAN_OUT + 1))]));
        changed.push(mean(start, 1));
        drop(next);
        let start = Instant::now();
        let copy = black_box(snapshot.clone());
        copied.push(mean(start, 1));
        drop(copy);
    }
    (median(changed), median(copied))
}
