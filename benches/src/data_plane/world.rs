//! The world in memory: the snapshot that decisions are made by.

use std::collections::BTreeMap;
use std::sync::Arc;

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
use tenantry_core::snapshot::{Change, Place, Snapshot};

use super::shape::{API, ENDPOINTS, FORBIDDEN, KEYS_OF_ONE, NETWORKS, Spot, endpoint};
use crate::seed::{Record, bytes};
use crate::{Failure, Result};

/// When everything was made, and is asked about.
pub(crate) const NOW: Timestamp = Timestamp(1_000_000);
/// How many changes make a snapshot while the world grows. They are memory that is not given back: a hundredth of the world's
/// does not matter where memory is measured.
const BATCH: usize = 10_000;

/// A snapshot that grows.
#[derive(Default)]
struct Growing {
    snapshot: Snapshot,
    changes: Vec<Change>,
}

impl Growing {
    fn change(&mut self, change: Change) {
        self.changes.push(change);
        if self.changes.len() >= BATCH {
            self.snapshot = self.snapshot.apply(self.changes.drain(..));
        }
    }

    fn grown(self) -> Snapshot {
        self.snapshot.apply(self.changes)
    }
}

/// The catalogue, and the accounts with their rules.
pub(crate) fn accounts(many: usize) -> Result<Snapshot> {
    let mut growing = Growing::default();
    growing.change(Change::Catalogue(Arc::new(catalogue()?)));
    for number in 0..many {
        let spot = Spot::of(number);
        growing.change(place(number, spot.parent));
        let allowlists = if spot.is_listed() { vec![allowlist(number)?] } else { Vec::new() };
        let restrictions = if spot.is_restricted() { vec![restriction(number)?] } else { Vec::new() };
        if !allowlists.is_empty() || !restrictions.is_empty() {
            growing.change(Change::Rules(id(Record::Account, number), Rules { restrictions, allowlists }));
        }
    }
    Ok(growing.grown())
}

/// The people behind so many keys: members of the accounts that the keys are of.
pub(crate) fn with_people(snapshot: Snapshot, leaves: &[usize], keys: usize) -> Snapshot {
    let mut growing = Growing { snapshot, changes: Vec::new() };
    for (number, leaf) in leaves.iter().cycle().enumerate().take(keys) {
        growing.change(Change::Member(id(Record::Account, *leaf), person(number), RoleRef::BuiltIn(BuiltIn::Member)));
    }
    growing.grown()
}

/// Keys, each of a person on an account of the last level.
pub(crate) fn with_keys(snapshot: Snapshot, leaves: &[usize], hashes: &[[u8; 32]]) -> Snapshot {
    let mut growing = Growing { snapshot, changes: Vec::new() };
    for ((number, hash), leaf) in hashes.iter().enumerate().zip(leaves.iter().cycle()) {
        growing.change(Change::Key(Box::new(key(number, id(Record::Account, *leaf))), *hash));
    }
    growing.grown()
}

fn id<T: Id>(of: Record, number: usize) -> T {
    T::from_bytes(bytes(of, number))
}

/// An account below another.
pub(crate) fn place(number: usize, parent: Option<usize>) -> Change {
    Change::Account(Place {
        id: id(Record::Account, number),
        parent_id: parent.map(|parent| id(Record::Account, parent)),
        status: Status::Active,
        inherits_admins: true,
        is_personal: false,
        features: BTreeMap::new(),
        limits: CallLimits::NONE,
    })
}

fn catalogue() -> Result<Catalogue> {
    let api = Api {
        id: API.to_owned(),
        name: "Voice".to_owned(),
        base_path: Pattern::parse(&format!("/{API}"))?,
        upstream: None,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    };
    let endpoint = |number: usize| {
        Ok::<_, Failure>(Endpoint {
            id: id::<EndpointId>(Record::Endpoint, number),
            api: API.to_owned(),
            method: Method::Get,
            path: Pattern::parse(&endpoint(number))?,
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
    Ok(Catalogue::new(vec![api], (0..ENDPOINTS).map(endpoint).collect::<Result<_>>()?))
}

fn allowlist(number: usize) -> Result<Allowlist> {
    Ok(Allowlist {
        id: id::<AllowlistId>(Record::Allowlist, number),
        account_id: id(Record::Account, number),
        api: Some(API.into()),
        networks: Networks::parse(&NETWORKS).map_err(|_| "networks")?,
        enforced: true,
        set_by: "operator".to_owned(),
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    })
}

fn restriction(number: usize) -> Result<Restriction> {
    let endpoints = vec![Endpoints { api: API.into(), methods: MethodSet::ALL, path: Pattern::parse(FORBIDDEN)? }];
    Ok(Restriction {
        id: id::<RestrictionId>(Record::Restriction, number),
        account_id: id(Record::Account, number),
        imposed_by: Imposer::Account(id(Record::Account, number)),
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

/// Whose key this is.
fn person(key: usize) -> UserId {
    id(Record::Person, key / KEYS_OF_ONE)
}

fn key(number: usize, account_id: AccountId) -> Key {
    Key {
        id: id::<KeyId>(Record::Key, number),
        account_id,
        user_id: Some(person(number)),
        maker_id: Some(person(number)),
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
