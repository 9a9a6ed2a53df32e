//! Doing what the engine says would change the answer.

use super::super::Fix;
use super::reference::World;
use super::worlds::Wish;
use crate::account::Status;
use crate::feature::Feature;
use crate::id::{AccountId, Id as _, ResourceId, RoleId, UserId};
use crate::network::Networks;
use crate::permission::PermissionSet;
use crate::refusal::Code;
use crate::role::{BuiltIn, Role, RoleRef};

/// The places of the steps in their order.
pub(super) fn step(code: Code) -> usize {
    const STEPS: [&[Code]; 11] = [
        &[Code::KeyMalformed],
        &[Code::KeyUnknown],
        &[Code::KeyRevoked, Code::KeyExpired],
        &[Code::AccountSuspended, Code::AccountClosed],
        &[Code::AssumeForbidden],
        &[Code::PathInvalid, Code::EndpointUnknown],
        &[Code::IpNotAllowed],
        &[Code::PermissionDenied],
        &[Code::EndpointRestricted],
        // Two halves of one step, one after the other.
        &[Code::FeatureMissing],
        &[Code::ResourceNotShared],
    ];
    STEPS.iter().position(|codes| codes.contains(&code)).expect("a code of a step")
}

/// Whether the world can be changed so, rather than the call.
pub(super) fn is_of_the_world(fix: &Fix) -> bool {
    !matches!(fix, Fix::AnotherKey | Fix::AnotherSubject | Fix::AnotherCall | Fix::AnotherAddress)
}

/// Whether somebody would have another role than that of an admin, which is the one they have.
pub(super) fn demotes(world: &World, fix: &Fix) -> bool {
    let Fix::GiveRole(user, account, _) = fix else { return false };
    world.members.contains(&(*account, *user, RoleRef::BuiltIn(BuiltIn::Admin)))
}

/// Changes the world as a fix says.
pub(super) fn mend(world: &mut World, fix: &Fix, wish: &Wish) {
    match fix {
        Fix::AnotherKey | Fix::AnotherSubject | Fix::AnotherCall | Fix::AnotherAddress => (),
        Fix::Activate(id) => account(world, *id).status = Status::Active,
        Fix::InheritAdmins(id) => account(world, *id).inherits.admins = true,
        Fix::AssignFeature(id, name) => {
            account(world, *id).features.insert(name.clone(), Feature::On);
        }
        Fix::GiveRole(user, id, _) => give_everything(world, *user, *id),
        Fix::WidenScopes(id, permission) => {
            let (key, _) = world.keys.iter_mut().find(|(key, _)| key.id == *id).expect("the key");
            key.scopes = key.scopes.map(|scopes| scopes.or(PermissionSet::of(&[*permission])));
        }
        Fix::AddAddress(id, _) => {
            let list = world.allowlists.iter_mut().find(|list| list.id == *id).expect("the list");
            let mut networks: Vec<String> = list.networks.iter().map(|network| network.to_string()).collect();
            networks.extend(wish.request().address.map(|address| address.to_string()));
            list.networks = Networks::parse(&networks).expect("networks");
        }
        Fix::Lift(id, _) => world.restrictions.retain(|rule| rule.id != *id),
        Fix::ShareResource(to, kind, name) => {
            let number = u8::try_from(world.resources.len()).expect("few");
            world.resources.push(super::super::Resource {
                id: ResourceId::from_bytes([250 - number; 16]),
                account: *to,
                kind: kind.clone(),
                external_id: Some(name.clone()),
                shared_with: Vec::new(),
            });
        }
    }
}

fn account(world: &mut World, id: AccountId) -> &mut crate::account::Account {
    world.accounts.iter_mut().find(|account| account.id == id).expect("the account")
}

/// A role of the account's own that holds everything, in the place of what somebody held there.
fn give_everything(world: &mut World, user: UserId, account: AccountId) {
    let number = 200 + u8::try_from(world.roles.len()).expect("few");
    let which = RoleRef::Custom(RoleId::from_bytes([number; 16]));
    world.roles.push(Role {
        which,
        name: "everything".to_owned(),
        home: Some(account),
        permissions: PermissionSet::ALL,
    });
    world.members.retain(|(at, who, _)| (*at, *who) != (account, user));
    world.members.push((account, user, which));
}
