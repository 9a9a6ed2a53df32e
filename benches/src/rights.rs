//! How long it takes to find out what a person may do: no database, no network.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use tenantry_core::access::Caller;
use tenantry_core::account::{Account, Kind, Profile};
use tenantry_core::id::{AccountId, Id, UserId};
use tenantry_core::lineage::Lineage;
use tenantry_core::permission::Permission;
use tenantry_core::rights::{Membership, Person};
use tenantry_core::role::{BuiltIn, Role};
use tenantry_core::{Document, Timestamp};

use crate::stats::{median, ratio};
use crate::table::Row;
use crate::{Failure, Result};

const LEVELS: u8 = 5;
const ROUNDS: usize = 9;
const EVALUATIONS: u64 = 200_000;

/// About as long as the text of a key.
const KEY: &[u8] = b"tny_live_00000000000000000000000000000000_000000";

/// Measures an evaluation and the hash of a key in turns.
pub(crate) fn run() -> Result<Vec<Row>> {
    let line = line()?;
    let caller = Caller::person(person(), account(LEVELS));
    let (mut rights, mut checks, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        hashes.push(nanos(|| digest(&SHA256, black_box(KEY))));
        rights.push(nanos(|| black_box(&caller).rights_over(black_box(&line))));
        checks.push(nanos(|| black_box(&caller).check(black_box(&line), Permission::MemberInvite)));
    }
    let (hash, rights, check) = (median(hashes), median(rights), median(checks));
    let row =
        |what: &str, took: u64| vec![what.to_owned(), format!("{took} ns"), format!("{hash} ns"), ratio(took, hash)];
    Ok(vec![row("All rights", rights), row("One permission, checked", check)])
}

fn nanos<T>(mut work: impl FnMut() -> T) -> u64 {
    let start = Instant::now();
    for _ in 0..EVALUATIONS {
        black_box(work());
    }
    let took: Duration = start.elapsed();
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) / EVALUATIONS
}

fn account(level: u8) -> AccountId {
    AccountId::from_bytes([level; 16])
}

/// A line of accounts from a root down.
fn line() -> Result<Lineage> {
    let mut above: Option<Lineage> = None;
    for level in 1..=LEVELS {
        let profile = Profile {
            kind: Kind::Organization,
            name: format!("Level {level}"),
            email: "level@bench.example".to_owned(),
            settings: BTreeMap::new(),
            metadata: Document::empty(),
        };
        let next = Account::new(account(level), above.as_ref().map(Lineage::account), profile, Timestamp(0));
        above = Some(above.map_or_else(|| Lineage::of_root(next.clone()), |above| above.with_child(next.clone())));
    }
    above.ok_or_else(|| Failure::from("there is a line"))
}

/// Somebody with a membership on each level.
fn person() -> Person {
    let user = UserId::from_bytes([1; 16]);
    let roles = [BuiltIn::Maintainer, BuiltIn::Member, BuiltIn::Member, BuiltIn::Maintainer, BuiltIn::Member];
    let membership =
        |(level, role): (u8, BuiltIn)| Membership { account: account(level), user, role: Role::built_in(role) };
    Person { user, memberships: (1..=LEVELS).zip(roles).map(membership).collect() }
}
