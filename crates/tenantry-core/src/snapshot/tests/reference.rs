//! A slow model of the decision: the text of the design, word by word, over plain lists of records.
//!
//! It shares the records, sets of permissions, networks and the parsing of paths with the engine, and no rule: what
//! binds whom, what covers what and who may do what is written here a second time.

use std::net::IpAddr;

use super::super::{Presented, Request, Resource};
use crate::account::{Account, Kind, Status};
use crate::allowlist::Allowlist;
use crate::catalogue::{Api, Endpoint, NamedResource};
use crate::feature::Feature;
use crate::id::{AccountId, UserId};
use crate::key::Key;
use crate::limit::{CallLimits, Holder};
use crate::method::Method;
use crate::network::Networks;
use crate::path::CanonicalPath;
use crate::permission::{Permission, PermissionSet};
use crate::refusal::Code;
use crate::restriction::{Endpoints, Imposer, Mode, Restriction, Target};
use crate::role::{BuiltIn, Role, RoleRef};

/// All that there is.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) accounts: Vec<Account>,
    /// With the hashes of their texts.
    pub(super) keys: Vec<(Key, [u8; 32])>,
    /// At most one for each account and user.
    pub(super) members: Vec<(AccountId, UserId, RoleRef)>,
    /// Custom ones.
    pub(super) roles: Vec<Role>,
    pub(super) restrictions: Vec<Restriction>,
    pub(super) allowlists: Vec<Allowlist>,
    pub(super) apis: Vec<Api>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) resources: Vec<Resource>,
}

/// What is left to those above where administrators are not inherited.
const SEEN: PermissionSet = PermissionSet::of(&[Permission::AccountRead, Permission::AuditRead]);

/// Who acts.
struct Who<'a> {
    key: &'a Key,
    /// Whose rights the key has to keep to.
    people: Vec<UserId>,
    /// The account for which they act: that of the key, or the one assumed.
    home: AccountId,
}

/// A call, as rules see it.
struct Call<'a> {
    api: &'a str,
    method: Method,
    /// The segments below the API's base path.
    path: &'a [&'a str],
}

/// The subject of a call that may happen, or why it may not.
pub(super) fn decide(world: &World, request: &Request<'_>) -> Result<AccountId, Code> {
    let key = authenticate(world, request)?;
    match world.status(key.account_id) {
        Status::Active => (),
        Status::Suspended => return Err(Code::AccountSuspended),
        Status::Closed => return Err(Code::AccountClosed),
    }
    let own = Who { key, people: people_of(key), home: key.account_id };
    let (who, rights) = match request.assume {
        Some(id) if id != key.account_id => world.assume(&own, id)?,
        _ => {
            let rights = world.rights(&own, key.account_id);
            (own, rights)
        }
    };
    let path = CanonicalPath::parse(request.target).map_err(|_| Code::PathInvalid)?;
    let path: Vec<&str> = path.segments().collect();
    let (api, endpoint) = world.find(request.method, &path).ok_or(Code::EndpointUnknown)?;
    world.check_address(&who, &api.id, request.address)?;
    if !rights.holds(endpoint.permission) {
        return Err(Code::PermissionDenied);
    }
    let path = &path[api.base_path.parts().count()..];
    let call = Call { api: &api.id, method: request.method, path };
    if world.binding(&who, who.home).into_iter().any(|rule| forbids(rule, &call)) {
        return Err(Code::EndpointRestricted);
    }
    world.check_feature(who.home, endpoint)?;
    world.check_resources(who.home, request, endpoint, path)?;
    Ok(who.home)
}

/// The limits that a call has to keep to which may happen for this account: those of the key, and of whoever is on the account's line.
pub(super) fn limits(world: &World, request: &Request<'_>, subject: AccountId) -> Vec<(Holder, CallLimits)> {
    let Ok(key) = authenticate(world, request) else { return Vec::new() };
    let accounts = world.line(subject).into_iter().map(|account| (Holder::Account(account.id), account.call_limits));
    let all = std::iter::once((Holder::Key(key.id), key.limits)).chain(accounts);
    all.filter(|(_, limits)| *limits != CallLimits::NONE).collect()
}

/// Steps 1 to 3: the key works, and so do all who stand behind it.
fn authenticate<'a>(world: &'a World, request: &Request<'_>) -> Result<&'a Key, Code> {
    let Presented::Hash(presented) = request.presented else { return Err(Code::KeyMalformed) };
    let found = world.keys.iter().find(|(_, hash)| *hash == presented);
    let (key, _) = found.ok_or(Code::KeyUnknown)?;
    if key.revoked_at.is_some() {
        return Err(Code::KeyRevoked);
    }
    if key.expires_at.is_some_and(|end| end <= request.now) {
        return Err(Code::KeyExpired);
    }
    if people_of(key).into_iter().any(|user| world.of_person(user, key.account_id).is_empty()) {
        return Err(Code::KeyRevoked);
    }
    Ok(key)
}

/// The member that a key is for, and its maker; one, if they are the same.
fn people_of(key: &Key) -> Vec<UserId> {
    let mut people: Vec<UserId> = key.user_id.into_iter().chain(key.maker_id).collect();
    people.dedup();
    people
}

fn scopes_of(key: &Key) -> PermissionSet {
    key.scopes.unwrap_or(PermissionSet::ALL)
}

/// The tree.
impl World {
    /// The account with this id.
    pub(super) fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == id)
    }

    /// An account and all above it, the account itself first.
    pub(super) fn line(&self, id: AccountId) -> Vec<&Account> {
        let mut line = Vec::new();
        let mut next = Some(id);
        while let Some(account) = next.and_then(|id| self.account(id)) {
            line.push(account);
            next = account.parent_id;
        }
        line
    }

    /// Whether an account is the one that a line leads to, or above it.
    pub(super) fn is_on_line(&self, id: AccountId, end: AccountId) -> bool {
        self.line(end).iter().any(|account| account.id == id)
    }

    /// Whether all accounts strictly below `top`, down to `end`, inherit administrators.
    fn inherits(&self, top: AccountId, end: AccountId) -> bool {
        self.line(end).iter().take_while(|account| account.id != top).all(|account| account.inherits.admins)
    }

    /// The status that counts: nothing is active below what is not.
    fn status(&self, id: AccountId) -> Status {
        let line = self.line(id);
        let own = line.first().expect("an account that is there").status;
        let all_active = line.iter().all(|account| account.status == Status::Active);
        if own == Status::Active && !all_active { Status::Suspended } else { own }
    }
}

/// Roles and rights.
impl World {
    /// What a role on an account is worth there. A custom one counts where it was made and below.
    fn worth(&self, role: RoleRef, account: AccountId) -> PermissionSet {
        if let RoleRef::BuiltIn(role) = role {
            return held_by(role);
        }
        let made = self.roles.iter().find(|own| own.which == role);
        let counting = made.filter(|own| own.home.is_none_or(|home| self.is_on_line(home, account)));
        counting.map_or(PermissionSet::NONE, |own| own.permissions)
    }

    /// What one person may do over an account by their roles.
    fn of_person(&self, user: UserId, target: AccountId) -> PermissionSet {
        let mut rights = PermissionSet::NONE;
        for (account, holder, role) in &self.members {
            if *holder == user && self.is_on_line(*account, target) {
                rights = rights.or(self.handed_down(self.worth(*role, *account), *account, target));
            }
        }
        rights
    }

    /// What is left on `target` of what somebody holds on `account`.
    fn handed_down(&self, held: PermissionSet, account: AccountId, target: AccountId) -> PermissionSet {
        if account == target {
            return held;
        }
        let administers = held.iter().any(|permission| !held_by(BuiltIn::Member).holds(permission));
        if !administers {
            return PermissionSet::NONE;
        }
        let held = held.without(PermissionSet::of(&[Permission::OrganizationLeave]));
        if self.inherits(account, target) { held } else { held.and(SEEN) }
    }

    /// What an account may do over itself and all below it: everything but `decide`, which no account has by itself.
    fn of_account(&self, home: AccountId, target: AccountId) -> PermissionSet {
        if !self.is_on_line(home, target) {
            return PermissionSet::NONE;
        }
        let all = PermissionSet::ALL.without(PermissionSet::of(&[Permission::Decide]));
        if self.inherits(home, target) { all } else { SEEN }
    }

    /// What a key may do over an account while it acts for nobody else.
    fn rights(&self, who: &Who<'_>, target: AccountId) -> PermissionSet {
        let mut rights = self.of_account(who.home, target);
        for user in &who.people {
            rights = rights.and(self.of_person(*user, target));
        }
        rights.and(scopes_of(who.key)).without(self.taken_away(who, target))
    }

    /// The person who goes wherever they are a member: the only one behind a key of a personal account.
    fn roaming(&self, who: &Who<'_>) -> Option<UserId> {
        let is_personal = self.account(who.key.account_id).is_some_and(|account| account.kind == Kind::Personal);
        match who.people.as_slice() {
            [one] if is_personal => Some(*one),
            _ => None,
        }
    }

    /// Step 5: who acts for the assumed account, and what they may do there.
    fn assume<'a>(&self, who: &Who<'a>, id: AccountId) -> Result<(Who<'a>, PermissionSet), Code> {
        if self.account(id).is_none() || self.status(id) != Status::Active {
            return Err(Code::AssumeForbidden);
        }
        let scopes = scopes_of(who.key);
        let roaming = self.roaming(who);
        let rights = match roaming {
            Some(user) => self.of_person(user, id).and(scopes).without(self.taken_away(who, id)),
            None => self.rights(who, id),
        };
        let is_member = self.members.iter().any(|(at, user, _)| *at == id && Some(*user) == roaming);
        let as_member = is_member && scopes.holds(Permission::AccountAssume);
        if !as_member && !rights.holds(Permission::AccountAssume) {
            return Err(Code::AssumeForbidden);
        }
        let there = Who { key: who.key, people: who.people.clone(), home: id };
        let rights = rights.and(self.of_account(id, id)).without(self.taken_away(&there, id));
        Ok((there, rights))
    }
}

/// What a built-in role holds, by the table.
fn held_by(role: BuiltIn) -> PermissionSet {
    Permission::ALL.iter().copied().filter(|permission| permission.held_by().contains(&role)).collect()
}

/// Restrictions.
impl World {
    /// What restrictions take away from whoever turns to `target`.
    fn taken_away(&self, who: &Who<'_>, target: AccountId) -> PermissionSet {
        let binding = self.binding(who, target);
        binding.into_iter().fold(PermissionSet::NONE, |taken, rule| taken.or(takes_away(rule)))
    }

    /// The restrictions that bind whoever turns to `target`: those there and above, and those where the key belongs.
    fn binding(&self, who: &Who<'_>, target: AccountId) -> Vec<&Restriction> {
        let mut ends = vec![target];
        if !self.is_on_line(who.key.account_id, target) {
            ends.push(who.key.account_id);
        }
        let binds = |rule: &&Restriction| ends.iter().any(|end| self.binds(rule, who, *end));
        self.restrictions.iter().filter(binds).collect()
    }

    /// Whether a rule binds on the line that leads to `end`.
    fn binds(&self, rule: &Restriction, who: &Who<'_>, end: AccountId) -> bool {
        self.is_on_line(rule.account_id, end)
            && self.counts(rule)
            && self.is_meant(rule, who, end)
            && !self.is_exempt(rule, who)
    }

    /// Whether whoever imposed the rule still stands where they could.
    fn counts(&self, rule: &Restriction) -> bool {
        match rule.imposed_by {
            Imposer::Operator => true,
            Imposer::Account(imposer) => self.is_on_line(imposer, rule.account_id),
        }
    }

    fn is_meant(&self, rule: &Restriction, who: &Who<'_>, end: AccountId) -> bool {
        match rule.target {
            Target::Account => true,
            Target::Role(wanted) => self.members.iter().any(|(account, user, role)| {
                *role == wanted && who.people.contains(user) && self.is_on_line(*account, end)
            }),
            Target::User(user) => who.people.contains(&user),
            Target::Key(key) => who.key.id == key,
        }
    }

    fn is_exempt(&self, rule: &Restriction, who: &Who<'_>) -> bool {
        match rule.imposed_by {
            Imposer::Operator => false,
            Imposer::Account(imposer) if imposer == rule.account_id => {
                rule.target == Target::Account && self.administers(who, rule.account_id)
            }
            Imposer::Account(imposer) => self.is_on_line(who.home, imposer),
        }
    }

    /// Whether whoever acts is an admin of the account that made a rule for itself.
    fn administers(&self, who: &Who<'_>, account: AccountId) -> bool {
        if who.people.is_empty() {
            return who.home != account && self.is_on_line(who.home, account) && self.inherits(who.home, account);
        }
        who.people.iter().all(|user| self.is_admin(*user, account))
    }

    fn is_admin(&self, user: UserId, account: AccountId) -> bool {
        self.members.iter().any(|(at, holder, role)| {
            *holder == user
                && *role == RoleRef::BuiltIn(BuiltIn::Admin)
                && self.is_on_line(*at, account)
                && self.inherits(*at, account)
        })
    }
}

fn takes_away(rule: &Restriction) -> PermissionSet {
    let allows_only_some = rule.mode == Mode::Allow && !rule.permissions.is_empty();
    if allows_only_some {
        let kept = rule.permissions.or(PermissionSet::of(&[Permission::AccountRead]));
        return PermissionSet::ALL.without(kept);
    }
    if rule.mode == Mode::Deny { rule.permissions } else { PermissionSet::NONE }
}

fn forbids(rule: &Restriction, call: &Call<'_>) -> bool {
    match rule.mode {
        Mode::Deny => rule.endpoints.iter().any(|named| names(named, call, true)),
        Mode::Allow => !rule.endpoints.is_empty() && !rule.endpoints.iter().any(|named| names(named, call, false)),
    }
}

fn names(named: &Endpoints, call: &Call<'_>, carelessly: bool) -> bool {
    let parts: Vec<Option<&str>> = named.path.parts().collect();
    *named.api == *call.api
        && named.methods.holds(call.method)
        && covers(&parts, named.path.has_rest(), call.path, carelessly)
}

/// Whether a pattern of these parts, and perhaps with `**` behind them, covers a path.
fn covers(parts: &[Option<&str>], rest: bool, path: &[&str], carelessly: bool) -> bool {
    let fits = if rest { path.len() >= parts.len() } else { path.len() == parts.len() };
    fits && (0..parts.len()).all(|place| match parts[place] {
        None => true,
        Some(literal) => reads_as(path[place], literal, carelessly, place + 1 == path.len()),
    })
}

fn reads_as(segment: &str, literal: &str, carelessly: bool, is_last: bool) -> bool {
    if !carelessly {
        return segment == literal;
    }
    let (segment, literal) = (segment.to_ascii_lowercase(), literal.to_ascii_lowercase());
    let stem = segment.split('.').next().expect("one part at least");
    segment == literal || (is_last && stem == literal)
}

/// Endpoints, and what they ask for.
impl World {
    /// Step 6: the most exact endpoint that covers a path.
    fn find(&self, method: Method, path: &[&str]) -> Option<(&Api, &Endpoint)> {
        let mut best: Option<(&Api, &Endpoint)> = None;
        for endpoint in self.endpoints.iter().filter(|endpoint| endpoint.method == method) {
            let Some(api) = self.apis.iter().find(|api| api.id == endpoint.api) else { continue };
            let is_better = best.is_none_or(|(of, other)| exactness(api, endpoint) < exactness(of, other));
            if is_better && covers(&full_path(api, endpoint), endpoint.path.has_rest(), path, false) {
                best = Some((api, endpoint));
            }
        }
        best
    }

    /// Step 7: the key's own networks, and the lists on both sides.
    fn check_address(&self, who: &Who<'_>, api: &str, address: Option<IpAddr>) -> Result<(), Code> {
        let outside = |networks: &Networks| !address.is_some_and(|address| networks.contain(address));
        if who.key.networks.as_ref().is_some_and(outside) {
            return Err(Code::IpNotAllowed);
        }
        for account in [who.key.account_id, who.home] {
            for list in &self.allowlists {
                let is_above = list.enforced && self.is_on_line(list.account_id, account);
                let is_about = list.api.as_ref().is_none_or(|own| **own == *api);
                if (list.account_id == account || is_above) && is_about && outside(&list.networks) {
                    return Err(Code::IpNotAllowed);
                }
            }
        }
        Ok(())
    }

    /// Step 10: the subject and all above it have the feature.
    fn check_feature(&self, subject: AccountId, endpoint: &Endpoint) -> Result<(), Code> {
        let Some(name) = &endpoint.feature else { return Ok(()) };
        let has = |account: &&Account| match account.features.get(name) {
            None => false,
            Some(Feature::On) => true,
            Some(Feature::UpTo(most)) => *most >= 1,
        };
        if self.line(subject).iter().all(has) { Ok(()) } else { Err(Code::FeatureMissing) }
    }

    /// Step 10: what the request names, and what its path names, is the subject's own or shared with it.
    fn check_resources(
        &self,
        subject: AccountId,
        request: &Request<'_>,
        endpoint: &Endpoint,
        path: &[&str],
    ) -> Result<(), Code> {
        let named = request.resource.is_none_or(|(kind, name)| self.is_allotted(subject, kind, name));
        let in_path = endpoint.resource.as_ref().is_none_or(|resource| {
            let name = segment_of(endpoint, resource, path);
            name.is_some_and(|name| self.is_allotted(subject, &resource.kind, name))
        });
        if named && in_path { Ok(()) } else { Err(Code::ResourceNotShared) }
    }

    fn is_allotted(&self, subject: AccountId, kind: &str, name: &str) -> bool {
        self.resources.iter().any(|resource| {
            let is_named = resource.id.to_string() == name || resource.external_id.as_deref() == Some(name);
            let is_shared = resource.shared_with.contains(&subject) || resource.shared_with.contains(&resource.account);
            let is_from_above = self.is_on_line(resource.account, subject) && is_shared;
            resource.kind == kind && is_named && (resource.account == subject || is_from_above)
        })
    }
}

/// The parts of an endpoint's path, from the root on.
fn full_path<'a>(api: &'a Api, endpoint: &'a Endpoint) -> Vec<Option<&'a str>> {
    api.base_path.parts().chain(endpoint.path.parts()).collect()
}

/// Of two endpoints that cover a path the one counts for which this is less: at the first difference a literal comes
/// before a variable, which comes before `**`; an end comes before everything.
fn exactness(api: &Api, endpoint: &Endpoint) -> Vec<u8> {
    let mut ranks: Vec<u8> = full_path(api, endpoint).iter().map(|part| u8::from(part.is_none())).collect();
    if endpoint.path.has_rest() {
        ranks.push(2);
    }
    ranks
}

/// The segment that stands where the endpoint's path has the variable.
fn segment_of<'p>(endpoint: &Endpoint, named: &NamedResource, path: &[&'p str]) -> Option<&'p str> {
    let (pattern, variable) = (endpoint.path.to_string(), format!("{{{}}}", named.variable));
    let place = pattern.split('/').skip(1).position(|part| part == variable)?;
    path.get(place).copied()
}
