//! How changes become the next snapshot. Everything may come twice, and in any order in which what is named is there or about
//! to come.

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use super::pages::hash_of;
use super::{
    Change, Credential, Held, Human, Memberships, NONE, Node, Number, Place, Resource, Ruled, Snapshot, Worth,
};
use crate::access::Rules;
use crate::account::Status;
use crate::feature::Feature;
use crate::id::{AccountId, Id, KeyId, ResourceId, UserId};
use crate::key::Key;
use crate::limit::CallLimits;
use crate::network::Networks;
use crate::permission::PermissionSet;
use crate::rights::OF_ACCOUNT;
use crate::role::{Role, RoleRef};
use crate::time::Timestamp;

impl Snapshot {
    /// The snapshot after some changes. This one stays as it is, for those who still read it.
    #[must_use]
    pub fn apply(&self, changes: impl IntoIterator<Item = Change>) -> Self {
        let mut next = self.clone();
        changes.into_iter().for_each(|change| next.change(change));
        next
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Account(account) => self.put_account(&account),
            Change::AccountGone(id) => self.remove_account(id),
            Change::Key(key, hash) => self.put_key(&key, hash),
            Change::Member(account, user, role) => self.put_member(account, user, role),
            Change::MemberGone(account, user) => self.remove_member(account, user),
            Change::Role(role) => drop(self.put_role(&role)),
            Change::Rules(account, rules) => self.put_rules(account, rules),
            Change::Resource(resource) => self.put_resource(resource),
            Change::ResourceGone(id) => self.remove_resource(id),
            Change::Catalogue(catalogue) => self.catalogue = catalogue,
            Change::Revision(revision) => {
                if let Some(rev) = self.revisions.0.get_mut(usize::from(revision.bucket)) {
                    *rev = revision.rev.max(*rev);
                }
            }
        }
    }

    pub(super) fn account_number(&self, id: AccountId) -> Option<Number> {
        let is = |number| self.accounts.get(number).is_some_and(|node| node.id == id);
        self.account_numbers.find(hash_of(&id.bytes()), is)
    }

    /// The number of an account that is there, or is about to come: until it does it is closed to everybody.
    fn account_number_or_new(&mut self, id: AccountId) -> Number {
        self.account_number(id).unwrap_or_else(|| {
            let number = self.accounts.add(Node {
                id,
                parent: NONE,
                status: Status::Closed,
                inherits_admins: false,
                is_personal: false,
                rules: NONE,
                features: NONE,
                limits: NONE,
            });
            self.account_numbers.insert(hash_of(&id.bytes()), number);
            number
        })
    }

    fn put_account(&mut self, account: &Place) {
        let number = self.account_number_or_new(account.id);
        let parent = account.parent_id.map_or(NONE, |parent| self.account_number_or_new(parent));
        let Some(before) = self.accounts.get(number).copied() else { return };
        let node = Node {
            parent,
            status: account.status,
            inherits_admins: account.inherits_admins,
            is_personal: account.is_personal,
            features: self.features_for(before.features, &account.features),
            limits: self.limits_for(before.limits, account.limits),
            ..before
        };
        self.accounts.set(number, node);
    }

    fn features_for(&mut self, at: Number, features: &BTreeMap<String, Feature>) -> Number {
        if features.is_empty() {
            self.features.release(at);
            return NONE;
        }
        if self.features.get(at).is_some_and(|there| **there == *features) {
            return at;
        }
        let features = Arc::new(features.clone());
        if at == NONE {
            return self.features.add(features);
        }
        self.features.set(at, features);
        at
    }

    fn limits_for(&mut self, at: Number, limits: CallLimits) -> Number {
        if limits.is_none() {
            self.limits.release(at);
            return NONE;
        }
        match self.limits.get(at) {
            None => return self.limits.add(limits),
            Some(there) if *there == limits => (),
            Some(_) => self.limits.set(at, limits),
        }
        at
    }

    /// Only closed accounts without children go: what is left of them is keys, which go along, and what people were there.
    fn remove_account(&mut self, id: AccountId) {
        let Some(number) = self.account_number(id) else { return };
        let Some(node) = self.accounts.get(number).copied() else { return };
        self.rules.release(node.rules);
        self.features.release(node.features);
        self.limits.release(node.limits);
        // Its number is not given to another: a key or a membership may still lead there, and finds it closed.
        let gone = Node {
            parent: NONE,
            status: Status::Closed,
            rules: NONE,
            features: NONE,
            limits: NONE,
            inherits_admins: false,
            ..node
        };
        self.accounts.set(number, gone);
        self.account_numbers.remove(hash_of(&id.bytes()), number);
    }

    fn put_key(&mut self, key: &Key, hash: [u8; 32]) {
        let account = self.account_number_or_new(key.account_id);
        let user = key.user_id.map_or(NONE, |user| self.person_number_or_new(user));
        let maker = key.maker_id.map_or(NONE, |maker| self.person_number_or_new(maker));
        let there = self.key_by_id(key.id);
        let before = there.and_then(|number| self.keys.get(number));
        let (networks, limits) = before.map_or((NONE, NONE), |before| (before.networks, before.limits));
        let credential = Credential {
            hash,
            id: key.id,
            account,
            user,
            maker: if maker == user { NONE } else { maker },
            networks: self.networks_for(networks, key.networks.as_ref()),
            limits: self.limits_for(limits, key.limits),
            // Who has no scopes has whatever an account has: what only the operator gives, it gives by name.
            scopes: key.scopes.unwrap_or(OF_ACCOUNT),
            expires_at: key.expires_at.unwrap_or(Timestamp(i64::MAX)),
            revoked: key.revoked_at.is_some(),
        };
        match there {
            Some(number) => self.keys.set(number, credential),
            None => {
                let number = self.keys.add(credential);
                self.key_numbers.insert(hash_of(&hash), number);
                self.key_ids.insert(hash_of(&key.id.bytes()), number);
            }
        }
    }

    pub(super) fn key_by_id(&self, id: KeyId) -> Option<Number> {
        self.key_ids.find(hash_of(&id.bytes()), |number| self.keys.get(number).is_some_and(|key| key.id == id))
    }

    fn networks_for(&mut self, at: Number, networks: Option<&Networks>) -> Number {
        match networks {
            // The networks of a key never change.
            Some(_) if at != NONE => at,
            Some(networks) => self.networks.add(Arc::new(networks.clone())),
            None => NONE,
        }
    }

    fn person_number_or_new(&mut self, id: UserId) -> Number {
        let found = self.person_number(id);
        found.unwrap_or_else(|| {
            let number = self.people.add(Human { id, held: Memberships::new(&[]) });
            self.people_numbers.insert(hash_of(&id.bytes()), number);
            number
        })
    }

    fn person_number(&self, id: UserId) -> Option<Number> {
        let is = |number| self.people.get(number).is_some_and(|human| human.id == id);
        self.people_numbers.find(hash_of(&id.bytes()), is)
    }

    fn put_member(&mut self, account: AccountId, user: UserId, role: RoleRef) {
        let (account, person) = (self.account_number_or_new(account), self.person_number_or_new(user));
        let role = self.role_number_or_new(role);
        self.hold(person, account, Some(Held { account, role }));
    }

    fn remove_member(&mut self, account: AccountId, user: UserId) {
        if let (Some(account), Some(person)) = (self.account_number(account), self.person_number(user)) {
            self.hold(person, account, None);
        }
    }

    fn hold(&mut self, person: Number, account: Number, now: Option<Held>) {
        let Some(human) = self.people.get_mut(person) else { return };
        let mut held: Vec<Held> =
            human.held.as_slice().iter().copied().filter(|held| held.account != account).chain(now).collect();
        held.sort_unstable_by_key(|held| held.account);
        human.held = Memberships::new(&held);
    }

    fn role_number(&self, which: RoleRef) -> Option<Number> {
        let is = |number| self.roles.get(number).is_some_and(|role| role.which == which);
        self.role_numbers.find(hash_of_role(which), is)
    }

    fn role_number_or_new(&mut self, which: RoleRef) -> Number {
        let known = match which {
            RoleRef::BuiltIn(role) => Role::built_in(role),
            // One that is about to come holds nothing until it does.
            RoleRef::Custom(_) => Role { which, name: String::new(), home: None, permissions: PermissionSet::NONE },
        };
        self.role_number(which).unwrap_or_else(|| self.put_role(&known))
    }

    fn put_role(&mut self, role: &Role) -> Number {
        let worth = Worth {
            which: role.which,
            home: role.home.map_or(NONE, |home| self.account_number_or_new(home)),
            own: role.permissions,
            inherited: role.inherited(),
        };
        if let Some(number) = self.role_number(role.which) {
            self.roles.set(number, worth);
            return number;
        }
        let number = self.roles.add(worth);
        self.role_numbers.insert(hash_of_role(role.which), number);
        number
    }

    fn put_rules(&mut self, account: AccountId, rules: Rules) {
        let number = self.account_number_or_new(account);
        let Some(at) = self.accounts.get(number).map(|node| node.rules) else { return };
        let now = match (rules.is_empty(), at) {
            (true, at) => {
                self.rules.release(at);
                NONE
            }
            (false, NONE) => self.rules.add(Ruled::new(rules)),
            (false, at) => {
                self.rules.set(at, Ruled::new(rules));
                at
            }
        };
        if let Some(node) = self.accounts.get_mut(number) {
            node.rules = now;
        }
    }

    fn put_resource(&mut self, resource: Resource) {
        self.remove_resource(resource.id);
        let (id, name) = (resource.id, name_of(&resource));
        let number = self.resources.add(Arc::new(resource));
        self.resource_ids.insert(hash_of(&id.bytes()), number);
        if let Some(name) = name {
            self.resource_names.insert(name, number);
        }
    }

    fn remove_resource(&mut self, id: ResourceId) {
        let Some(number) = self.resource_number(id) else { return };
        let name = self.resources.get(number).and_then(|resource| name_of(resource));
        self.resource_ids.remove(hash_of(&id.bytes()), number);
        if let Some(name) = name {
            self.resource_names.remove(name, number);
        }
        self.resources.release(number);
    }

    fn resource_number(&self, id: ResourceId) -> Option<Number> {
        let is = |number| self.resources.get(number).is_some_and(|resource| resource.id == id);
        self.resource_ids.find(hash_of(&id.bytes()), is)
    }

    /// What `account` owns under this name: the thing's id, or its id in the owner's own system.
    pub(super) fn resource_of(&self, account: AccountId, kind: &str, name: &str) -> Option<&Resource> {
        let is = |resource: &Resource| resource.account == account && resource.kind == kind;
        let by_id = name.parse().ok().and_then(|id| self.resource_number(id));
        let by_id = by_id.and_then(|number| self.resources.get(number)).filter(|resource| is(resource));
        let named = |number| {
            let resource = self.resources.get(number);
            resource.is_some_and(|resource| is(resource) && resource.external_id.as_deref() == Some(name))
        };
        let by_name = || self.resource_names.find(hash_of_name(account, kind, name), named);
        by_id.or_else(|| by_name().and_then(|number| self.resources.get(number))).map(Arc::as_ref)
    }
}

fn hash_of_role(which: RoleRef) -> u64 {
    match which {
        RoleRef::BuiltIn(role) => role as u64,
        RoleRef::Custom(id) => hash_of(&id.bytes()),
    }
}

/// The hash under which a resource is found by its owner's name for it.
fn name_of(resource: &Resource) -> Option<u64> {
    resource.external_id.as_deref().map(|name| hash_of_name(resource.account, &resource.kind, name))
}

fn hash_of_name(account: AccountId, kind: &str, name: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    (account, kind, name).hash(&mut hasher);
    hasher.finish()
}
