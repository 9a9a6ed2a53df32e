//! A call that is allowed costs no memory: nothing is taken from the heap between the question and the answer, nor where its
//! limits are looked up.

#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use tenantry_core::Timestamp;
use tenantry_core::access::Rules;
use tenantry_core::account::Status;
use tenantry_core::allowlist::Allowlist;
use tenantry_core::catalogue::{Api, Catalogue, Endpoint, NamedResource, Settle};
use tenantry_core::feature::Feature;
use tenantry_core::id::{AccountId, AllowlistId, EndpointId, Id as _, KeyId, ResourceId, RestrictionId, UserId};
use tenantry_core::key::{Environment, Key};
use tenantry_core::limit::{CallLimits, Rate};
use tenantry_core::method::{Method, MethodSet};
use tenantry_core::network::Networks;
use tenantry_core::path::Pattern;
use tenantry_core::permission::{Permission, PermissionSet};
use tenantry_core::restriction::{Endpoints, Imposer, Mode, Restriction, Target};
use tenantry_core::role::{BuiltIn, RoleRef};
use tenantry_core::snapshot::{Change, Place, Presented, Request, Resource, Snapshot};

const HASH: [u8; 32] = [7; 32];
const NOW: Timestamp = Timestamp(10);

fn account(n: u8) -> AccountId {
    AccountId::from_bytes([n; 16])
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).expect("a pattern")
}

fn catalogue() -> Catalogue {
    let api = Api {
        id: "voice".to_owned(),
        name: "Voice".to_owned(),
        base_path: pattern("/voice"),
        upstream: None,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    };
    let endpoint = Endpoint {
        id: EndpointId::from_bytes([1; 16]),
        api: "voice".to_owned(),
        method: Method::Post,
        path: pattern("/tts/{voice}"),
        cost: 5,
        permission: Permission::CreditsConsume,
        feature: Some("speech".to_owned()),
        resource: Some(NamedResource { kind: "voice".to_owned(), variable: "voice".to_owned() }),
        settle: Settle::Success,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    };
    Catalogue::new(vec![api], vec![endpoint])
}

fn limits() -> CallLimits {
    CallLimits { rate: Rate::new(100, 60), in_flight: Some(10) }
}

fn rules(n: u8) -> Rules {
    let restriction = Restriction {
        id: RestrictionId::from_bytes([n; 16]),
        account_id: account(n),
        imposed_by: Imposer::Account(account(1)),
        mode: Mode::Deny,
        target: Target::Account,
        endpoints: vec![Endpoints { api: "voice".into(), methods: MethodSet::ALL, path: pattern("/clone/**") }],
        permissions: PermissionSet::of(&[Permission::KeyManage]),
        set_by: "operator".to_owned(),
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    };
    let list = Allowlist {
        id: AllowlistId::from_bytes([n; 16]),
        account_id: account(n),
        api: None,
        networks: Networks::parse(&["192.0.2.0/24", "2001:db8::/32"]).expect("networks"),
        enforced: true,
        set_by: "operator".to_owned(),
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    };
    Rules { restrictions: vec![restriction], allowlists: vec![list] }
}

/// A line of five accounts with rules on each, a feature and a resource that come down, and a key with a person on the fourth.
fn snapshot() -> Snapshot {
    let (user, maker) = (UserId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
    let place = |n: u8| Place {
        id: account(n),
        parent_id: (n > 1).then(|| account(n - 1)),
        status: Status::Active,
        inherits_admins: true,
        is_personal: false,
        features: BTreeMap::from([("speech".to_owned(), Feature::On)]),
        limits: limits(),
    };
    let key = Key {
        id: KeyId::from_bytes([1; 16]),
        account_id: account(4),
        user_id: Some(user),
        maker_id: Some(maker),
        name: "k".to_owned(),
        environment: Environment::Live,
        last_four: "abcd".to_owned(),
        scopes: None,
        networks: Networks::parse(&["192.0.2.0/24"]).ok(),
        limits: limits(),
        created_at: NOW,
        expires_at: Some(Timestamp(100)),
        revoked_at: None,
        last_used_at: None,
        last_used_ip: None,
        rotated_from: None,
    };
    let voice = Resource {
        id: ResourceId::from_bytes([1; 16]),
        account: account(1),
        kind: "voice".to_owned(),
        external_id: Some("ann".to_owned()),
        shared_with: vec![account(1)],
    };
    let changes = (1..=5).flat_map(|n| [Change::Account(place(n)), Change::Rules(account(n), rules(n))]);
    Snapshot::default().apply(changes.chain([
        Change::Member(account(4), user, RoleRef::BuiltIn(BuiltIn::Maintainer)),
        Change::Member(account(2), maker, RoleRef::BuiltIn(BuiltIn::Admin)),
        Change::Key(Box::new(key), HASH),
        Change::Resource(voice),
        Change::Catalogue(Arc::new(catalogue())),
    ]))
}

#[test]
fn an_allowed_call_allocates_nothing() {
    let snapshot = snapshot();
    for assume in [None, Some(account(5))] {
        let request = Request {
            presented: Presented::Hash(HASH),
            assume,
            address: "192.0.2.7".parse().ok(),
            method: Method::Post,
            target: "/voice/tts/ann?format=mp3",
            resource: None,
            now: NOW,
        };
        let mut outcome = None;
        let taken = allocation_counter::measure(|| {
            let decision = snapshot.decide(&request);
            let limited = snapshot.limits(&decision).count();
            outcome = Some(decision.outcome.map(|()| limited).map_err(|denial| denial.code));
        });
        let on_the_line = if assume.is_some() { 5 } else { 4 };
        assert_eq!(outcome, Some(Ok(1 + on_the_line)), "{assume:?}");
        assert_eq!((taken.count_total, taken.bytes_total), (0, 0), "{assume:?}");
    }
}
