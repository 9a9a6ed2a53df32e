//! Small changes of a world, and what tells of them.

use super::*;

/// Makes one small change, and tells of it.
pub(in super::super) fn mutate(world: &mut World, random: &mut Random) -> Vec<Change> {
    let change = match random.below(12) {
        0 | 1 => move_account(world, random),
        2..5 => change_account(world, random),
        5 => put_some_member(world, random),
        6 => remove_some_member(world, random),
        7 => change_role(world, random),
        8 => change_key(world, random),
        9 => replace_rules(world, random),
        10 => change_resource(world, random),
        _ => {
            world.endpoints = endpoints(random);
            Some(catalogue_of(world))
        }
    };
    change.into_iter().collect()
}

fn account_mut(world: &mut World, id: AccountId) -> &mut Account {
    world.accounts.iter_mut().find(|account| account.id == id).expect("an account that is there")
}

/// Moves an account with all below it to where there is room, or makes it a root.
fn move_account(world: &mut World, random: &mut Random) -> Option<Change> {
    let moved = random.pick(&of_kind(world, Kind::Organization));
    let taken = subtree(world, moved);
    let depth_of = |id: &AccountId| world.line(*id).len();
    let height = taken.iter().map(depth_of).max()? - depth_of(&moved) + 1;
    let mut parents = of_kind(world, Kind::Organization);
    parents.retain(|id| !taken.contains(id) && depth_of(id) + height <= DEEPEST as usize);
    let parent = (!parents.is_empty() && random.chance(80)).then(|| random.pick(&parents));
    account_mut(world, moved).parent_id = parent;
    settle(world, &taken);
    world.account(moved).map(told)
}

/// Sets what follows from the parents of accounts.
fn settle(world: &mut World, ids: &[AccountId]) {
    for id in ids {
        let line = world.line(*id);
        let root = line.last().map_or(*id, |root| root.id);
        let depth = u32::try_from(line.len()).expect("not deep");
        let account = account_mut(world, *id);
        (account.root_id, account.depth) = (root, depth);
    }
}

/// Mostly for the better: a world in which everything is shut tells nothing.
fn change_account(world: &mut World, random: &mut Random) -> Option<Change> {
    let id = random.pick(&ids(world));
    let account = account_mut(world, id);
    match random.below(4) {
        0 if account.status == Status::Active && random.chance(30) => {
            account.status = random.pick(&[Status::Suspended, Status::Suspended, Status::Closed]);
        }
        0 => account.status = Status::Active,
        1 => account.inherits.admins = !account.inherits.admins || random.chance(50),
        2 => account.features = features(random),
        _ => account.call_limits = call_limits(random),
    }
    Some(told(account))
}

fn put_some_member(world: &mut World, random: &mut Random) -> Option<Change> {
    let account = random.pick(&of_kind(world, Kind::Organization));
    let (user, role) = (any_user(random), any_role(random));
    put_member(world, account, user, role);
    Some(Change::Member(account, user, role))
}

fn remove_some_member(world: &mut World, random: &mut Random) -> Option<Change> {
    if world.members.is_empty() {
        return None;
    }
    let (account, user, _) = world.members.remove(random.below(world.members.len()));
    Some(Change::MemberGone(account, user))
}

fn change_role(world: &mut World, random: &mut Random) -> Option<Change> {
    let n = random.pick(&[1, 2]);
    let role = role(n, world, random);
    world.roles.retain(|own| own.which != role.which);
    world.roles.push(role.clone());
    Some(Change::Role(role))
}

/// Revokes a key, narrows one, or makes a new one.
fn change_key(world: &mut World, random: &mut Random) -> Option<Change> {
    if random.chance(40) {
        let new = key(world, random);
        world.keys.push(new);
    } else {
        let place = random.below(world.keys.len());
        let mut changed = world.keys.remove(place);
        match random.below(4) {
            0 | 1 => changed.0.revoked_at = Some(NOW),
            2 => changed.0.scopes = Some(permissions(random)),
            _ => changed.0.limits = call_limits(random),
        }
        world.keys.push(changed);
    }
    let (key, hash) = world.keys.last()?;
    Some(Change::Key(Box::new(key.clone()), *hash))
}

fn replace_rules(world: &mut World, random: &mut Random) -> Option<Change> {
    let account = random.pick(&ids(world));
    world.restrictions.retain(|rule| rule.account_id != account);
    world.allowlists.retain(|list| list.account_id != account);
    for _ in 0..random.below(3) {
        let rule = restriction(world, account, random);
        world.restrictions.push(rule);
    }
    if random.chance(40) {
        world.allowlists.push(allowlist(account, random));
    }
    Some(Change::Rules(account, rules_of(world, account)))
}

/// Adds a resource, removes one, or shares one with others.
fn change_resource(world: &mut World, random: &mut Random) -> Option<Change> {
    if world.resources.is_empty() || random.chance(30) {
        return add_resource(world, random).map(Change::Resource);
    }
    let mut resource = world.resources.remove(random.below(world.resources.len()));
    if random.chance(50) {
        return Some(Change::ResourceGone(resource.id));
    }
    resource.shared_with = shares(world, resource.account, random);
    world.resources.push(resource.clone());
    Some(Change::Resource(resource))
}
