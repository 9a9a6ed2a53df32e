//! The engine against a slow evaluator that was written from the text of the design, in random worlds that change.
//!
//! `TENANTRY_DECISIONS` says how many decisions are compared; a longer run is one of millions.

mod reference;
mod worlds;

use std::collections::BTreeMap;

use reference::World;
use worlds::{Random, Wish};

use super::*;
use crate::path::CanonicalPath;
use crate::refusal::Code;
use crate::restriction::{Call, Target};

/// How many decisions are asked for in one state of a world.
const CALLS: u64 = 25;
/// How many states a world goes through.
const STATES: u64 = 8;

#[expect(clippy::disallowed_methods, reason = "a setting of the tests")]
fn wanted() -> u64 {
    std::env::var("TENANTRY_DECISIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(60_000)
}

/// What was seen, and how often.
type Seen = BTreeMap<String, u64>;

/// A rule that forbids an allowed call, but does not bind who makes it.
fn exemption(rule: &crate::restriction::Restriction) -> &'static str {
    match (rule.is_imposed(), rule.target) {
        (false, Target::Account) => "exempt: admins, of what the account says about itself",
        (true, Target::Account) => "exempt: who imposed it, or could have",
        (_, Target::Role(_)) => "not meant: another role",
        (_, Target::User(_)) => "not meant: another user",
        (_, Target::Key(_)) => "not meant: another key",
    }
}

fn note(world: &World, decision: &Decision<'_>, wish: &Wish, seen: &mut Seen) {
    let what = decision.outcome.as_ref().map_or_else(|denial| denial.code.as_str(), |()| "allowed");
    *seen.entry(what.to_owned()).or_default() += 1;
    let (Ok(()), Some(found), Some(subject)) = (&decision.outcome, decision.found, decision.subject) else { return };
    let request = wish.request();
    let path = CanonicalPath::parse(request.target).expect("it was allowed");
    let below = path.below(found.api.base_path.len());
    let call = Call { api: &found.api.id, method: request.method, path: &below };
    for rule in &world.restrictions {
        if world.is_on_line(rule.account_id, subject) && rule.forbids(&call) {
            *seen.entry(exemption(rule).to_owned()).or_default() += 1;
        }
    }
    if decision.subject != decision.actor {
        *seen.entry("allowed on behalf".to_owned()).or_default() += 1;
    }
}

fn compare(world: &World, snapshot: &Snapshot, random: &mut Random, seen: &mut Seen, seed: u64) {
    for _ in 0..CALLS {
        let wish = worlds::wish(world, random);
        let request = wish.request();
        let decision = snapshot.decide(&request);
        let fast = decision.outcome.as_ref().map(|()| decision.subject).map_err(|denial| denial.code);
        let slow = reference::decide(world, &request).map(Some);
        assert_eq!(fast, slow, "seed {seed}: {request:?}\nkeys {:#?}\nrules {:#?}", world.keys, world.restrictions);
        note(world, &decision, &wish, seen);
    }
}

#[test]
fn decisions_are_those_of_the_reference() {
    let mut seen = Seen::new();
    for seed in 0..wanted().div_ceil(CALLS * (STATES + 2)) {
        let mut random = Random(seed);
        let mut world = worlds::world(&mut random);
        let mut snapshot = Snapshot::default().apply(worlds::changes(&world, &mut random));
        compare(&world, &snapshot, &mut random, &mut seen, seed);
        let before = snapshot.clone();
        let mut random_before = random.clone();
        let world_before = worlds::changes(&world, &mut random_before);
        for _ in 0..STATES {
            let changes = worlds::mutate(&mut world, &mut random);
            snapshot = snapshot.apply(changes);
            compare(&world, &snapshot, &mut random, &mut seen, seed);
        }
        // Made anew, it is the same; and who still had the first one saw nothing of all this.
        let anew = Snapshot::default().apply(worlds::changes(&world, &mut random));
        let first = Snapshot::default().apply(world_before);
        for _ in 0..CALLS {
            let wish = worlds::wish(&world, &mut random);
            let outcome = |snapshot: &Snapshot| snapshot.decide(&wish.request()).outcome.map_err(|denial| denial.code);
            assert_eq!(outcome(&anew), outcome(&snapshot), "seed {seed}");
            assert_eq!(outcome(&first), outcome(&before), "seed {seed}");
        }
    }
    for (what, times) in &seen {
        println!("{times:>8} {what}");
    }
    for code in [
        Code::KeyMalformed,
        Code::KeyUnknown,
        Code::KeyRevoked,
        Code::KeyExpired,
        Code::AccountSuspended,
        Code::AccountClosed,
        Code::AssumeForbidden,
        Code::PathInvalid,
        Code::EndpointUnknown,
        Code::IpNotAllowed,
        Code::PermissionDenied,
        Code::EndpointRestricted,
        Code::FeatureMissing,
        Code::ResourceNotShared,
    ] {
        assert!(seen.contains_key(code.as_str()), "{code} was never seen");
    }
    for what in [
        "allowed",
        "allowed on behalf",
        "exempt: admins, of what the account says about itself",
        "exempt: who imposed it, or could have",
        "not meant: another role",
        "not meant: another user",
        "not meant: another key",
    ] {
        assert!(seen.contains_key(what), "{what} was never seen");
    }
}
