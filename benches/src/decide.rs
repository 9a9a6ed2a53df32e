//! How long a decision takes in process, with a million accounts and as many keys in memory: no database, no network.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use ring::digest::{SHA256, digest};
use tenantry_core::Timestamp;
use tenantry_core::access::Rules;
use tenantry_core::account::Status;
use tenantry_core::allowlist::Allowlist;
use tenantry_core::catalogue::{Api, Catalogue, Endpoint, Settle};
use tenantry_core::id::{AccountId, AllowlistId, EndpointId, Id, KeyId, RestrictionId, UserId};
use tenantry_core::key::{Environment, Key};
use tenantry_core::limit::CallLimits;
use tenantry_core::method::{Method, MethodSet};
use tenantry_core::network::Networks;
use tenantry_core::path::Pattern;
use tenantry_core::permission::{Permission, PermissionSet};
use tenantry_core::restriction::{Endpoints, Imposer, Mode, Restriction, Target};
use tenantry_core::role::{BuiltIn, RoleRef};
use tenantry_core::secret::{self, Label};
use tenantry_core::snapshot::{Change, Place, Presented, Request, Snapshot};

use crate::stats::{median, ratio, thousands};
use crate::table::Row;
use crate::{Failure, Result};

const ROUNDS: usize = 9;
const CALLS: usize = 100_000;
const HOT: usize = 1_000;
/// How many children every account above the last level has.
const FAN_OUT: usize = 10;
const LEVELS: usize = 5;
/// How many keys one person has.
const KEYS_OF_ONE: usize = 10;
const NOW: Timestamp = Timestamp(1_000_000);
const BATCH: usize = 50_000;

/// Measures decisions and their floors in turns.
pub(crate) fn run(accounts: usize) -> Result<Vec<Row>> {
    let keys = texts(accounts);
    let hashes: Vec<[u8; 32]> = keys.iter().map(|text| hash(text)).collect();
    let before = resident()?;
    let (snapshot, leaves) = world(accounts)?;
    let with_accounts = resident()?;
    let snapshot = with_keys(snapshot, &leaves, &hashes)?;
    let with_keys = resident()?;
    let chained = Chained::new(&hashes);
    let mut order = Shuffled(accounts as u64);
    let random: Vec<usize> = (0..CALLS).map(|_| order.below(accounts)).collect();
    let hot: Vec<usize> = random.iter().map(|place| place % HOT).collect();

    let (mut sha, mut whole, mut cold, mut chain, mut known) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        sha.push(each(&hot, |place| keys.get(place).map(|text| hash(black_box(text)))));
        whole.push(each(&hot, |place| keys.get(place).map(|text| ask(&snapshot, present(black_box(text))))));
        known.push(each(&hot, |place| hashes.get(place).map(|hash| ask(&snapshot, Presented::Hash(*hash)))));
        chain.push(one_by_one(&random, &hashes, |hash| chained.find(hash).is_some()));
        cold.push(one_by_one(&random, &hashes, |hash| ask(&snapshot, Presented::Hash(*hash))));
    }
    let (sha, whole, cold, chain, known) = (median(sha), median(whole), median(cold), median(chain), median(known));
    let (changed, pages) = changes(&snapshot, &leaves)?;
    let row = |what: &str, took: u64, beside: &str, floor: u64| {
        vec![what.to_owned(), format!("{took} ns"), format!("{beside}: {floor} ns"), ratio(took, floor)]
    };
    let bytes = |what: &str, grown: u64, floor: &str| {
        let each = grown / accounts.max(1) as u64;
        vec![what.to_owned(), format!("{each} bytes"), floor.to_owned(), String::new()]
    };
    Ok(vec![
        row("1,000 keys, text to decision", whole, "SHA-256 of a key", sha),
        row("1,000 keys, hash known", known, "SHA-256 of a key", sha),
        row(
            &format!("{} keys at random, hash known", thousands(accounts as u64)),
            cold,
            "one look-up in a table of linked entries",
            chain,
        ),
        row("A change of one account, to the next snapshot", changed, "a copy of a snapshot alone", pages),
        bytes("Memory of an account", with_accounts.saturating_sub(before), "–"),
        bytes("Memory of a key, its person included", with_keys.saturating_sub(with_accounts), "–"),
    ])
}

/// The mean time of one piece of work, in nanoseconds. What it answers has to be something.
fn each<T>(places: &[usize], mut work: impl FnMut(usize) -> Option<T>) -> u64 {
    let start = Instant::now();
    let found = places.iter().filter(|place| black_box(work(**place)).is_some()).count();
    let took = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    took / (found.max(1) as u64)
}

/// The same for hashes that are asked about one after the other: which is next depends on the answer before, as it does when a
/// request has to be answered before the next one comes. Otherwise the processor would fetch several at once.
fn one_by_one(places: &[usize], hashes: &[[u8; 32]], mut is: impl FnMut(&[u8; 32]) -> bool) -> u64 {
    let (start, mut off) = (Instant::now(), 0);
    for place in places {
        off += hashes.get(place + off).map_or(1, |hash| usize::from(!black_box(is(black_box(hash)))));
    }
    let took = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    if black_box(off) > 0 { u64::MAX } else { took / (places.len().max(1) as u64) }
}

fn hash(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().unwrap_or([0; 32])
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
        method: Method::Post,
        target: black_box("/voice/tts/ann?format=mp3"),
        resource: None,
        now: NOW,
    };
    snapshot.decide(&request).outcome.is_ok()
}

fn id<T: Id>(kind: u8, number: usize) -> T {
    // Spread, as the random part of an id is.
    let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [kind; 16];
    bytes.iter_mut().skip(8).zip(mixed.to_be_bytes()).for_each(|(byte, mixed)| *byte = mixed);
    T::from_bytes(bytes)
}

fn place(number: usize, parent: Option<usize>) -> Change {
    Change::Account(Place {
        id: id(1, number),
        parent_id: parent.map(|parent| id(1, parent)),
        status: Status::Active,
        inherits_admins: true,
        is_personal: false,
        features: BTreeMap::new(),
        limits: CallLimits::NONE,
    })
}

/// Trees of five levels with an IP list above and a restriction on the way; and the accounts of the last level.
fn world(accounts: usize) -> Result<(Snapshot, Vec<usize>)> {
    let catalogue = catalogue()?;
    let mut snapshot = Snapshot::default().apply([Change::Catalogue(Arc::new(catalogue))]);
    let (mut number, mut leaves, mut changes) = (0, Vec::new(), Vec::new());
    while number < accounts {
        let root = number;
        changes.push(place(root, None));
        changes
            .push(Change::Rules(id(1, root), Rules { restrictions: Vec::new(), allowlists: vec![allowlist(root)?] }));
        number += 1;
        let mut above = vec![root];
        for level in 1..LEVELS {
            let mut next = Vec::new();
            for (parent, _) in above.iter().flat_map(|parent| (0..FAN_OUT).map(move |n| (*parent, n))) {
                if number >= accounts {
                    break;
                }
                changes.push(place(number, Some(parent)));
                if level == 2 {
                    let rules = Rules { restrictions: vec![restriction(number)?], allowlists: Vec::new() };
                    changes.push(Change::Rules(id(1, number), rules));
                }
                next.push(number);
                number += 1;
            }
            if level + 1 == LEVELS {
                leaves.extend(&next);
            }
            above = next;
        }
        if changes.len() > BATCH {
            snapshot = snapshot.apply(std::mem::take(&mut changes));
        }
    }
    Ok((snapshot.apply(changes), leaves))
}

fn catalogue() -> Result<Catalogue> {
    let api = Api {
        id: "voice".to_owned(),
        name: "Voice".to_owned(),
        base_path: Pattern::parse("/voice")?,
        upstream: None,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    };
    let endpoint = |number: usize, path: String| {
        Ok::<_, Failure>(Endpoint {
            id: id::<EndpointId>(2, number),
            api: "voice".to_owned(),
            method: Method::Post,
            path: Pattern::parse(&path)?,
            cost: 1,
            permission: Permission::CreditsConsume,
            feature: None,
            resource: None,
            settle: Settle::Success,
            version: 1,
            created_at: NOW,
            updated_at: NOW,
        })
    };
    let others = (1..100).map(|n| endpoint(n, format!("/product-{n}/{{thing}}")));
    let endpoints = [endpoint(0, "/tts/{voice}".to_owned())].into_iter().chain(others).collect::<Result<_>>()?;
    Ok(Catalogue::new(vec![api], endpoints))
}

fn allowlist(number: usize) -> Result<Allowlist> {
    Ok(Allowlist {
        id: id::<AllowlistId>(3, number),
        account_id: id(1, number),
        api: Some("voice".into()),
        networks: Networks::parse(&["192.0.2.0/24", "198.51.100.0/24"]).map_err(|_| "networks")?,
        enforced: true,
        set_by: "operator".to_owned(),
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    })
}

fn restriction(number: usize) -> Result<Restriction> {
    let endpoints =
        vec![Endpoints { api: "voice".into(), methods: MethodSet::ALL, path: Pattern::parse("/clone/**")? }];
    Ok(Restriction {
        id: id::<RestrictionId>(4, number),
        account_id: id(1, number),
        imposed_by: Imposer::Account(id(1, number)),
        mode: Mode::Deny,
        target: Target::Account,
        endpoints,
        permissions: PermissionSet::NONE,
        set_by: "operator".to_owned(),
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    })
}

/// As many keys as accounts, on accounts of the last level, each of a person who is a member there.
fn with_keys(mut snapshot: Snapshot, leaves: &[usize], hashes: &[[u8; 32]]) -> Result<Snapshot> {
    let mut changes = Vec::new();
    for (number, hash) in hashes.iter().enumerate() {
        let account = id(1, *leaves.get(number % leaves.len()).ok_or("no leaf")?);
        let user: UserId = id(5, number / KEYS_OF_ONE);
        changes.push(Change::Member(account, user, RoleRef::BuiltIn(BuiltIn::Member)));
        changes.push(Change::Key(Box::new(key(number, account, user)), *hash));
        if changes.len() > BATCH {
            snapshot = snapshot.apply(std::mem::take(&mut changes));
        }
    }
    Ok(snapshot.apply(changes))
}

/// The texts of so many keys.
fn texts(many: usize) -> Vec<String> {
    let mut random = Shuffled(1);
    let text = |_| {
        let mut bytes = [0; secret::RANDOM_BYTES];
        bytes.iter_mut().for_each(|byte| *byte = u8::try_from(random.below(256)).unwrap_or_default());
        secret::compose(Label::Live, &bytes)
    };
    (0..many).map(text).collect()
}

fn key(number: usize, account_id: AccountId, user: UserId) -> Key {
    Key {
        id: id::<KeyId>(6, number),
        account_id,
        user_id: Some(user),
        maker_id: Some(user),
        name: String::new(),
        environment: Environment::Live,
        last_four: String::new(),
        scopes: None,
        networks: None,
        limits: CallLimits::NONE,
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        last_used_ip: None,
        rotated_from: None,
    }
}

/// What it takes to make the next snapshot, and to copy one.
fn changes(snapshot: &Snapshot, leaves: &[usize]) -> Result<(u64, u64)> {
    let (mut changed, mut copied) = (Vec::new(), Vec::new());
    let last = *leaves.last().ok_or("no leaf")?;
    for number in 0..101 {
        let start = Instant::now();
        let next = black_box(snapshot.apply([place(last, Some(number % FAN_OUT + 1))]));
        changed.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        drop(next);
        let start = Instant::now();
        let copy = black_box(snapshot.clone());
        copied.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        drop(copy);
    }
    Ok((median(changed), median(copied)))
}

/// A hash table as one would write it down: buckets of linked entries, each in a place of its own.
struct Chained {
    buckets: Vec<Option<Box<Entry>>>,
}

struct Entry {
    hash: [u8; 32],
    number: usize,
    next: Option<Box<Entry>>,
}

impl Chained {
    fn new(hashes: &[[u8; 32]]) -> Self {
        let mut buckets: Vec<Option<Box<Entry>>> = Vec::new();
        buckets.resize_with(hashes.len().next_power_of_two(), || None);
        for (number, hash) in hashes.iter().enumerate() {
            let place = Self::place(hash, buckets.len());
            if let Some(bucket) = buckets.get_mut(place) {
                let next = bucket.take();
                *bucket = Some(Box::new(Entry { hash: *hash, number, next }));
            }
        }
        Self { buckets }
    }

    fn place(hash: &[u8; 32], buckets: usize) -> usize {
        let first = hash.first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first));
        usize::try_from(first).unwrap_or_default() & (buckets - 1)
    }

    fn find(&self, hash: &[u8; 32]) -> Option<usize> {
        let mut entry = self.buckets.get(Self::place(hash, self.buckets.len()))?.as_ref();
        while let Some(there) = entry {
            if there.hash == *hash {
                return Some(there.number);
            }
            entry = there.next.as_ref();
        }
        None
    }
}

/// Numbers without an order, the same in every run (splitmix64).
pub(crate) struct Shuffled(pub(crate) u64);

impl Shuffled {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap_or_default()
    }
}

/// The memory of this process, in bytes.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}
