//! The engine against a slow evaluator that was written from the text of the design, in random worlds that change.
//!
//! `TENANTRY_DECISIONS` says how many decisions are compared; a longer run is one of millions.

mod mend;
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

fn wanted() -> u64 {
    // Read when the tests are built: nothing in this crate asks its environment.
    option_env!("TENANTRY_DECISIONS").and_then(|text| text.parse().ok()).unwrap_or(60_000)
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
    for number in 0..CALLS {
        let wish = worlds::wish(world, random);
        let request = wish.request();
        let decision = snapshot.decide(&request);
        let fast = decision.outcome.as_ref().map(|()| decision.subject).map_err(|denial| denial.code);
        let slow = reference::decide(world, &request).map(Some);
        assert_eq!(fast, slow, "seed {seed}: {request:?}\nkeys {:#?}\nrules {:#?}", world.keys, world.restrictions);
        if let Ok(Some(subject)) = fast {
            let fast: Vec<_> = snapshot.limits(&decision).map(|applying| (applying.holder, applying.limits)).collect();
            assert_eq!(fast, reference::limits(world, &request, subject), "seed {seed}: {request:?}");
            *seen.entry(format!("allowed, {} limited", fast.len().min(3))).or_default() += 1;
        }
        note(world, &decision, &wish, seen);
        if number % 8 == 0 {
            check_fixes(world, snapshot, &wish, random, seen, seed);
            check_reach(snapshot, &request, &decision, seen);
        }
    }
}

/// What a key is said to reach is what it can call, and asking about a key by its id is like presenting it.
fn check_reach(snapshot: &Snapshot, request: &Request<'_>, decision: &Decision<'_>, seen: &mut Seen) {
    if let Some(key) = decision.key {
        let named = snapshot.decide(&Request { presented: Presented::Named(key), ..*request });
        assert_eq!((named.outcome, named.subject), (decision.outcome, decision.subject));
    }
    let reached = match snapshot.reach(request) {
        Ok(reached) => reached,
        Err(denial) => return assert_eq!(Err(denial), decision.outcome),
    };
    let Some(called) = decision.found.map(|found| found.endpoint.id) else { return };
    let verdict = reached.iter().find(|reached| reached.found.endpoint.id == called).expect("every endpoint").verdict;
    let code = decision.outcome.as_ref().err().map(|denial| denial.code);
    let what = match verdict {
        Verdict::None(denial) => {
            // The address is not looked at, and decides before; so does a rule about this path alone, where a feature is missing
            // for all.
            let before = match code {
                Some(Code::IpNotAllowed) => true,
                Some(Code::EndpointRestricted) => denial.code == Code::FeatureMissing,
                _ => false,
            };
            assert!(before || code == Some(denial.code), "{denial:?} but {code:?}");
            "reach: none"
        }
        Verdict::All => {
            let elsewhere = [Code::IpNotAllowed, Code::ResourceNotShared];
            assert!(code.is_none_or(|code| elsewhere.contains(&code)), "all, but {code:?}");
            "reach: all"
        }
        Verdict::Some(_) => {
            assert!(!matches!(code, Some(Code::PermissionDenied | Code::FeatureMissing)), "some, but {code:?}");
            "reach: some"
        }
    };
    *seen.entry(what.to_owned()).or_default() += 1;
}

/// Does what the engine says would let a denied call through its step: it has to, by engine and reference alike. With one
/// thing left undone it must not.
fn check_fixes(world: &World, snapshot: &Snapshot, wish: &Wish, random: &mut Random, seen: &mut Seen, seed: u64) {
    let request = wish.request();
    let Err(denial) = snapshot.decide(&request).outcome else { return };
    let fixes = snapshot.fixes(&request);
    assert!(!fixes.is_empty(), "seed {seed}: nothing changes {denial:?} of {request:?}");
    // Whoever would have to be something else than an admin is then bound by rules that do not bind them now.
    if !fixes.iter().all(mend::is_of_the_world) || fixes.iter().any(|fix| mend::demotes(world, fix)) {
        return;
    }
    let outcome = |fixes: &[&Fix], random: &mut Random| {
        let mut mended = world.clone();
        fixes.iter().for_each(|fix| mend::mend(&mut mended, fix, wish));
        let anew = Snapshot::default().apply(worlds::changes(&mended, random));
        let fast = anew.decide(&request).outcome.map_err(|denial| denial.code);
        assert_eq!(fast, reference::decide(&mended, &request).map(drop), "seed {seed}: after {fixes:?}");
        fast
    };
    let passes =
        |outcome: Result<(), Code>| outcome.map_or_else(|code| mend::step(code) > mend::step(denial.code), |()| true);
    let all: Vec<&Fix> = fixes.iter().collect();
    assert!(passes(outcome(&all, random)), "seed {seed}: {denial:?} of {request:?}, in spite of {fixes:?}\n{world:#?}");
    *seen.entry(format!("mended {}", denial.code)).or_default() += 1;
    for place in 0..all.len() {
        let mut most = all.clone();
        let left_out = most.remove(place);
        let needed = !passes(outcome(&most, random));
        // Who is made an admin by a switch is not bound by every rule any more, nor is who gets another role bound by what is
        // said of the one before.
        let switched = fixes.iter().any(|fix| matches!(fix, Fix::InheritAdmins(_)));
        let promoted = fixes.iter().any(|fix| matches!(fix, Fix::GiveRole(..))) && matches!(left_out, Fix::Lift(..));
        let entangled = switched || promoted;
        assert!(needed || entangled, "seed {seed}: {left_out:?} is in vain among {fixes:?}\n{request:?}\n{world:#?}");
    }
}

/// Limits may cost a key nothing, and an account four bytes: most have none.
#[test]
fn keys_and_accounts_are_small() {
    assert_eq!((size_of::<Credential>(), size_of::<Node>()), (88, 36));
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
        "allowed, 0 limited",
        "allowed, 1 limited",
        "allowed, 3 limited",
        "allowed on behalf",
        "exempt: admins, of what the account says about itself",
        "exempt: who imposed it, or could have",
        "not meant: another role",
        "not meant: another user",
        "not meant: another key",
        "mended key_revoked",
        "mended account_suspended",
        "mended assume_forbidden",
        "mended ip_not_allowed",
        "mended permission_denied",
        "mended endpoint_restricted",
        "mended feature_missing",
        "mended resource_not_shared",
        "reach: all",
        "reach: some",
        "reach: none",
    ] {
        assert!(seen.contains_key(what), "{what} was never seen");
    }
}
