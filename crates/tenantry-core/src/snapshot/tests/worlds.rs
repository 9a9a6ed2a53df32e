//! Random worlds, calls, and small changes: the same for the same seed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::{Change, Place, Presented, Request, Resource};
use super::reference::World;
use crate::access::Rules;
use crate::account::{Account, Kind, Profile, Status};
use crate::allowlist::Allowlist;
use crate::catalogue::tests::{api, endpoint};
use crate::catalogue::{Catalogue, Endpoint, NamedResource};
use crate::document::Document;
use crate::feature::Feature;
use crate::id::{AccountId, AllowlistId, EndpointId, Id as _, KeyId, ResourceId, RestrictionId, RoleId, UserId};
use crate::key::{Environment, Key};
use crate::limit::{CallLimits, Rate};
use crate::method::Method;
use crate::network::Networks;
use crate::permission::{Permission, PermissionSet};
use crate::restriction::tests::{endpoints as naming, rule};
use crate::restriction::{Endpoints, Imposer, Mode, Restriction, Target};
use crate::role::{BuiltIn, Role, RoleRef};
use crate::time::Timestamp;

mod mutations;

pub(super) use mutations::mutate;

const NOW: Timestamp = Timestamp(1_000);
const DEEPEST: u32 = 5;
const USERS: u8 = 3;
/// The ids of personal accounts begin here.
const PERSONAL: u8 = 101;

const FEATURES: [&str; 2] = ["cloning", "projects"];
const KINDS: [&str; 2] = ["voice", "device"];
const NAMES: [&str; 3] = ["ann", "bob", "cat"];
const WORDS: [&str; 6] = ["ann", "bob", "default", "takes", "ann.json", "TTS"];
const OTHER_PERMISSIONS: [Permission; 4] =
    [Permission::AccountRead, Permission::UsageRead, Permission::KeyManage, Permission::OrganizationLeave];
/// Most hold the address that most calls come from.
const NETWORKS: [&[&str]; 4] =
    [&["10.0.0.0/8"], &["10.1.0.0/16", "2001:db8::/32"], &["10.0.0.0/8", "192.0.2.0/24"], &["192.0.2.0/24"]];
/// The last is none.
const ADDRESSES: [&str; 6] = ["10.9.9.9", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3", "203.0.113.5", "unknown"];
/// No two of one method and one shape, seen from the root.
const ENDPOINTS: [(&str, Method, &str); 14] = [
    ("voice", Method::Post, "/tts/{voice}"),
    ("voice", Method::Post, "/tts/default"),
    ("voice", Method::Post, "/tts/**"),
    ("voice", Method::Get, "/voices"),
    ("voice", Method::Get, "/voices/{voice}"),
    ("voice", Method::Get, "/voices/{voice}/takes/{take}"),
    ("voice", Method::Get, "/**"),
    ("all", Method::Get, "/voice/{any}/all"),
    ("all", Method::Get, "/devices/{device}"),
    ("all", Method::Get, "/devices/**"),
    ("all", Method::Post, "/*/{device}"),
    ("all", Method::Get, "/"),
    ("all", Method::Get, "/**"),
    ("all", Method::Delete, "/devices/{device}"),
];
/// What restrictions name.
const NAMED: [(&str, &str); 9] = [
    ("voice", "/tts/**"),
    ("voice", "/tts/{voice}"),
    ("voice", "/voices"),
    ("voice", "/voices/ann"),
    ("voice", "/**"),
    ("all", "/devices/*"),
    ("all", "/devices/bob"),
    ("all", "/"),
    ("all", "/**"),
];

/// splitmix64.
#[derive(Debug, Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("small");
        usize::try_from(self.draw() % end).expect("small")
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.below(end + 1);
            items.swap(end, other);
        }
    }

    fn bytes(&mut self) -> [u8; 16] {
        ((u128::from(self.draw()) << 64) | u128::from(self.draw())).to_be_bytes()
    }
}

/// Some accounts with all that belongs to them.
pub(super) fn world(random: &mut Random) -> World {
    let mut world = World { accounts: accounts(random), ..World::default() };
    world.roles = (1..=2).map(|n| role(n, &world, random)).collect();
    members(&mut world, random);
    world.keys = (0..4 + random.below(5)).map(|_| key(&world, random)).collect();
    let ids = ids(&world);
    for _ in 0..random.below(5) {
        let rule = restriction(&world, random.pick(&ids), random);
        world.restrictions.push(rule);
    }
    world.allowlists = (0..random.below(4)).map(|_| allowlist(random.pick(&ids), random)).collect();
    world.apis = vec![api("voice", "/voice"), api("all", "/")];
    world.endpoints = endpoints(random);
    (0..3 + random.below(4)).for_each(|_| drop(add_resource(&mut world, random)));
    world
}

fn ids(world: &World) -> Vec<AccountId> {
    world.accounts.iter().map(|account| account.id).collect()
}

fn of_kind(world: &World, kind: Kind) -> Vec<AccountId> {
    world.accounts.iter().filter(|account| account.kind == kind).map(|account| account.id).collect()
}

/// An account and all below it.
fn subtree(world: &World, top: AccountId) -> Vec<AccountId> {
    ids(world).into_iter().filter(|id| world.is_on_line(top, *id)).collect()
}

fn accounts(random: &mut Random) -> Vec<Account> {
    let count = 3 + random.below(7);
    // Perhaps one of them begins a second tree.
    let second = random.below(2 * count);
    let mut accounts: Vec<Account> = Vec::new();
    for place in 0..count {
        let above = (place > 0 && place != second).then(|| any_parent(&accounts, random));
        let n = u8::try_from(place + 1).expect("few");
        accounts.push(account(n, above.as_ref(), Kind::Organization));
    }
    let last = PERSONAL + u8::from(random.chance(50));
    accounts.extend((PERSONAL..=last).map(|n| account(n, None, Kind::Personal)));
    for account in &mut accounts {
        account.inherits.admins = !random.chance(20);
        account.features = features(random);
        account.call_limits = call_limits(random);
        account.status = match random.below(100) {
            0..3 => Status::Suspended,
            3..5 => Status::Closed,
            _ => Status::Active,
        };
    }
    accounts
}

fn any_parent(accounts: &[Account], random: &mut Random) -> Account {
    let open: Vec<&Account> = accounts.iter().filter(|account| account.depth < DEEPEST).collect();
    let last = open[open.len() - 1];
    if random.chance(40) { last.clone() } else { random.pick(&open).clone() }
}

fn account(n: u8, parent: Option<&Account>, kind: Kind) -> Account {
    let (settings, metadata) = (BTreeMap::new(), Document::empty());
    let profile = Profile { kind, name: format!("account {n}"), email: String::new(), settings, metadata };
    Account::new(AccountId::from_bytes([n; 16]), parent, profile, Timestamp(0))
}

fn features(random: &mut Random) -> BTreeMap<String, Feature> {
    let mut features = BTreeMap::new();
    for name in FEATURES {
        let feature = if random.chance(70) { Feature::On } else { Feature::UpTo(random.pick(&[0, 1, 5])) };
        if random.chance(85) {
            features.insert(name.to_owned(), feature);
        }
    }
    features
}

fn call_limits(random: &mut Random) -> CallLimits {
    if random.chance(60) {
        return CallLimits::NONE;
    }
    let rate = random.pick(&[Rate::new(1, 1), Rate::new(100, 60), None]);
    CallLimits { rate, in_flight: random.pick(&[None, Some(1), Some(7)]) }
}

/// Those that matter most are in most sets.
fn permissions(random: &mut Random) -> PermissionSet {
    let likely = [Permission::AccountRead, Permission::CreditsConsume, Permission::AccountAssume];
    let held = |permission: &Permission| random.chance(if likely.contains(permission) { 75 } else { 15 });
    Permission::ALL.iter().copied().filter(held).collect()
}

fn role(n: u8, world: &World, random: &mut Random) -> Role {
    let mut permissions = permissions(random);
    if random.chance(20) {
        permissions = permissions.and(BuiltIn::Member.permissions());
    }
    let home = any_home(world, random);
    let which = RoleRef::Custom(RoleId::from_bytes([n; 16]));
    Role { which, name: format!("role {n}"), home: Some(home), permissions }
}

/// A root, more often than not: roles that are made there count everywhere below.
fn any_home(world: &World, random: &mut Random) -> AccountId {
    let account = random.pick(&of_kind(world, Kind::Organization));
    let root = world.line(account).last().map_or(account, |root| root.id);
    if random.chance(60) { root } else { account }
}

fn any_role(random: &mut Random) -> RoleRef {
    match random.below(100) {
        0..35 => RoleRef::BuiltIn(BuiltIn::Admin),
        35..55 => RoleRef::BuiltIn(BuiltIn::Maintainer),
        55..75 => RoleRef::BuiltIn(BuiltIn::Member),
        _ => RoleRef::Custom(RoleId::from_bytes([random.pick(&[1, 2]); 16])),
    }
}

fn user(n: u8) -> UserId {
    UserId::from_bytes([n; 16])
}

fn any_user(random: &mut Random) -> UserId {
    user(random.pick(&[1, 2, USERS]))
}

/// The owners of personal accounts, and some memberships of everybody.
fn members(world: &mut World, random: &mut Random) {
    for (account, n) in of_kind(world, Kind::Personal).into_iter().zip(1..) {
        put_member(world, account, user(n), RoleRef::BuiltIn(BuiltIn::Admin));
    }
    let organizations = of_kind(world, Kind::Organization);
    for n in 1..=USERS {
        for _ in 0..=random.below(4) {
            put_member(world, random.pick(&organizations), user(n), any_role(random));
        }
    }
}

fn put_member(world: &mut World, account: AccountId, user: UserId, role: RoleRef) {
    world.members.retain(|(at, who, _)| (*at, *who) != (account, user));
    world.members.push((account, user, role));
}

fn key(world: &World, random: &mut Random) -> (Key, [u8; 32]) {
    let kind = if random.chance(30) { Kind::Personal } else { Kind::Organization };
    let account_id = random.pick(&of_kind(world, kind));
    let (user_id, maker_id) = people(world, account_id, kind, random);
    let key = Key {
        id: KeyId::from_bytes(random.bytes()),
        account_id,
        user_id,
        maker_id,
        name: "k".to_owned(),
        environment: Environment::Live,
        last_four: "abcd".to_owned(),
        scopes: random.chance(25).then(|| permissions(random)),
        networks: random.chance(15).then(|| networks(random)),
        limits: call_limits(random),
        created_at: Timestamp(0),
        expires_at: random.chance(10).then(|| random.pick(&[Timestamp(999), NOW, Timestamp(1_001)])),
        revoked_at: random.chance(4).then_some(Timestamp(5)),
        last_used_at: None,
        last_used_ip: None,
        rotated_from: None,
    };
    let hash = [random.bytes(), random.bytes()].concat();
    (key, hash.try_into().expect("32 bytes"))
}

/// The member that a key is for, and its maker.
fn people(world: &World, account: AccountId, kind: Kind, random: &mut Random) -> (Option<UserId>, Option<UserId>) {
    let (one, other) = (person(world, account, random), person(world, account, random));
    if random.chance(if kind == Kind::Personal { 10 } else { 40 }) {
        return (None, None);
    }
    random.pick(&[(None, Some(one)), (Some(one), None), (Some(one), Some(one)), (Some(one), Some(other))])
}

/// Mostly somebody who is a member there or above.
fn person(world: &World, account: AccountId, random: &mut Random) -> UserId {
    let standing = world.members.iter().filter(|(at, ..)| world.is_on_line(*at, account));
    let standing: Vec<UserId> = standing.map(|(_, user, _)| *user).collect();
    if standing.is_empty() || random.chance(5) { any_user(random) } else { random.pick(&standing) }
}

fn networks(random: &mut Random) -> Networks {
    Networks::parse(random.pick(&NETWORKS)).expect("networks")
}

fn restriction(world: &World, holder: AccountId, random: &mut Random) -> Restriction {
    let above: Vec<AccountId> = world.line(holder).iter().skip(1).map(|account| account.id).collect();
    let imposed_by = match random.below(100) {
        0..10 => Imposer::Operator,
        10..20 => Imposer::Account(random.pick(&ids(world))),
        20..60 if !above.is_empty() => Imposer::Account(random.pick(&above)),
        _ => Imposer::Account(holder),
    };
    let mode = random.pick(Mode::ALL);
    let target = target_of_rule(world, random);
    let about = random.below(3);
    Restriction {
        id: RestrictionId::from_bytes(random.bytes()),
        account_id: holder,
        imposed_by,
        endpoints: if about == 0 { Vec::new() } else { named_endpoints(mode, random) },
        permissions: if about == 1 { PermissionSet::NONE } else { named_permissions(mode, random) },
        ..rule(1, 1, 1, mode, target)
    }
}

fn target_of_rule(world: &World, random: &mut Random) -> Target {
    match random.below(10) {
        0..4 => Target::Account,
        4 | 5 => Target::Role(any_role(random)),
        6 | 7 => Target::User(any_user(random)),
        _ => Target::Key(random.pick(&world.keys).0.id),
    }
}

/// A rule that allows mostly names something large, so that something is left.
fn named_endpoints(mode: Mode, random: &mut Random) -> Vec<Endpoints> {
    let mut named: Vec<(&str, &str)> = (0..random.below(3)).map(|_| random.pick(&NAMED)).collect();
    for all in [("voice", "/**"), ("all", "/**")] {
        if mode == Mode::Allow && random.chance(50) {
            named.push(all);
        }
    }
    let methods: [&[Method]; 4] = [&[], &[], &[Method::Get], &[Method::Post, Method::Delete]];
    named.into_iter().map(|(api, path)| naming(api, random.pick(&methods), path)).collect()
}

fn named_permissions(mode: Mode, random: &mut Random) -> PermissionSet {
    let (some, any) = (permissions(random), random.pick(Permission::ALL));
    let one = random.pick(&[Permission::CreditsConsume, Permission::AccountAssume, any]);
    if mode == Mode::Allow { some } else { PermissionSet::of(&[one]) }
}

fn allowlist(account_id: AccountId, random: &mut Random) -> Allowlist {
    Allowlist {
        id: AllowlistId::from_bytes(random.bytes()),
        account_id,
        api: random.pick(&[None, None, Some("voice"), Some("all")]).map(Box::from),
        networks: networks(random),
        enforced: random.chance(50),
        set_by: "operator".to_owned(),
        version: 1,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

fn endpoints(random: &mut Random) -> Vec<Endpoint> {
    let mut chosen = ENDPOINTS.to_vec();
    random.shuffle(&mut chosen);
    chosen.truncate(5 + random.below(4));
    chosen.into_iter().map(|(api, method, path)| offered(api, method, path, random)).collect()
}

fn offered(api: &str, method: Method, path: &str, random: &mut Random) -> Endpoint {
    let variables: Vec<&str> = KINDS.into_iter().filter(|name| path.contains(&format!("{{{name}}}"))).collect();
    let resource = (!variables.is_empty() && random.chance(40)).then(|| {
        let variable = random.pick(&variables).to_owned();
        NamedResource { kind: if random.chance(90) { variable.clone() } else { "voice".to_owned() }, variable }
    });
    let other = random.chance(15).then(|| random.pick(&OTHER_PERMISSIONS));
    Endpoint {
        id: EndpointId::from_bytes(random.bytes()),
        permission: other.unwrap_or(Permission::CreditsConsume),
        feature: random.chance(20).then(|| random.pick(&FEATURES).to_owned()),
        resource,
        ..endpoint(1, api, method, path)
    }
}

/// One more resource, unless its owner has one of that name.
fn add_resource(world: &mut World, random: &mut Random) -> Option<Resource> {
    let account = random.pick(&ids(world));
    let resource = Resource {
        id: ResourceId::from_bytes(random.bytes()),
        account,
        kind: random.pick(&KINDS).to_owned(),
        external_id: random.chance(70).then(|| random.pick(&NAMES).to_owned()),
        shared_with: shares(world, account, random),
    };
    let name = |own: &Resource| (own.account, own.kind.clone(), own.external_id.clone());
    let is_taken = world.resources.iter().any(|own| name(own) == name(&resource));
    if is_taken && resource.external_id.is_some() {
        return None;
    }
    world.resources.push(resource.clone());
    Some(resource)
}

/// With accounts below the owner, with all of them, or, after a move, with some that are elsewhere now.
fn shares(world: &World, owner: AccountId, random: &mut Random) -> Vec<AccountId> {
    let (near, all) = (subtree(world, owner), ids(world));
    (0..random.below(4)).map(|_| if random.chance(85) { random.pick(&near) } else { random.pick(&all) }).collect()
}

fn rules_of(world: &World, account: AccountId) -> Rules {
    let restrictions = world.restrictions.iter().filter(|rule| rule.account_id == account);
    let allowlists = world.allowlists.iter().filter(|list| list.account_id == account);
    Rules { restrictions: restrictions.cloned().collect(), allowlists: allowlists.cloned().collect() }
}

fn catalogue_of(world: &World) -> Change {
    Change::Catalogue(Arc::new(Catalogue::new(world.apis.clone(), world.endpoints.clone())))
}

/// All that there is, as changes of nothing: accounts first, those above before those below; the rest in any order.
pub(super) fn changes(world: &World, random: &mut Random) -> Vec<Change> {
    let mut accounts: Vec<&Account> = world.accounts.iter().collect();
    random.shuffle(&mut accounts);
    accounts.sort_by_key(|account| account.depth);
    let rules = ids(world).into_iter().map(|id| (id, rules_of(world, id))).filter(|(_, rules)| !rules.is_empty());
    let mut rest: Vec<Change> = vec![catalogue_of(world)];
    rest.extend(world.keys.iter().map(|(key, hash)| Change::Key(Box::new(key.clone()), *hash)));
    rest.extend(world.members.iter().map(|(account, user, role)| Change::Member(*account, *user, *role)));
    rest.extend(world.roles.iter().cloned().map(Change::Role));
    rest.extend(rules.map(|(id, rules)| Change::Rules(id, rules)));
    rest.extend(world.resources.iter().cloned().map(Change::Resource));
    random.shuffle(&mut rest);
    accounts.into_iter().map(told).chain(rest).collect()
}

fn told(account: &Account) -> Change {
    Change::Account(Place::from(account))
}

/// A request that owns what it is about.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    presented: Presented,
    assume: Option<AccountId>,
    address: Option<IpAddr>,
    method: Method,
    target: String,
    resource: Option<(String, String)>,
}

impl Wish {
    pub(super) fn request(&self) -> Request<'_> {
        Request {
            presented: self.presented,
            assume: self.assume,
            address: self.address,
            method: self.method,
            target: &self.target,
            resource: self.resource.as_ref().map(|(kind, name)| (kind.as_str(), name.as_str())),
            now: NOW,
        }
    }
}

/// A call that may well be allowed, or fail at any step.
pub(super) fn wish(world: &World, random: &mut Random) -> Wish {
    let (key, hash) = random.pick(&world.keys);
    let presented = match random.below(100) {
        0..3 => Presented::Malformed,
        3..6 => Presented::Hash([0; 32]),
        _ => Presented::Hash(hash),
    };
    let assume = assumed(world, &key, random);
    let subject = assume.unwrap_or(key.account_id);
    let endpoint = random.pick(&world.endpoints);
    let path = covered(world, &endpoint, subject, random);
    let kind = random.pick(&KINDS);
    let resource = random.chance(12).then(|| (kind.to_owned(), name_of(world, subject, kind, random)));
    Wish {
        presented,
        assume,
        address: address(random),
        method: if random.chance(94) { endpoint.method } else { random.pick(Method::ALL) },
        target: if random.chance(30) { varied(&path, random) } else { path },
        resource,
    }
}

/// Mostly nobody; keys of personal accounts ask for what their people are members of, others for what is below.
fn assumed(world: &World, key: &Key, random: &mut Random) -> Option<AccountId> {
    let is_personal = world.account(key.account_id).is_some_and(|account| account.kind == Kind::Personal);
    if random.chance(if is_personal { 30 } else { 60 }) {
        return None;
    }
    let below = subtree(world, key.account_id);
    let people = [key.user_id, key.maker_id];
    let joined = world.members.iter().filter(|(_, user, _)| people.contains(&Some(*user)));
    let dice = random.below(100);
    let pool: Vec<AccountId> = match (dice, is_personal) {
        (0..70, false) | (0..10, true) => below,
        (70..85, false) | (10..88, true) => joined.map(|(account, ..)| *account).collect(),
        (85..96, _) => ids(world),
        _ => vec![AccountId::from_bytes([0xee; 16])],
    };
    (!pool.is_empty()).then(|| random.pick(&pool))
}

fn address(random: &mut Random) -> Option<IpAddr> {
    let text = if random.chance(65) { "10.1.2.3" } else { random.pick(&ADDRESSES) };
    text.parse().ok()
}

/// A path that the endpoint covers.
fn covered(world: &World, endpoint: &Endpoint, subject: AccountId, random: &mut Random) -> String {
    let api = world.apis.iter().find(|api| api.id == endpoint.api).expect("the API of an endpoint");
    let kind = endpoint.resource.as_ref().map_or("voice", |named| named.kind.as_str());
    let pattern = format!("{}/{}", api.base_path, endpoint.path);
    let mut segments: Vec<String> = Vec::new();
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if part == "**" {
            segments.extend((0..random.below(3)).map(|_| random.pick(&WORDS).to_owned()));
        } else if part.starts_with(['{', '*']) {
            segments.push(name_of(world, subject, kind, random));
        } else {
            segments.push(part.to_owned());
        }
    }
    format!("/{}", segments.join("/"))
}

/// The name of a resource, mostly of one that the subject or an account above it owns.
fn name_of(world: &World, subject: AccountId, kind: &str, random: &mut Random) -> String {
    let is_near = |resource: &&Resource| resource.kind == kind && world.is_on_line(resource.account, subject);
    let near: Vec<&Resource> = world.resources.iter().filter(is_near).collect();
    if near.is_empty() || random.chance(20) {
        return random.pick(&WORDS).to_owned();
    }
    let resource = random.pick(&near);
    let external = resource.external_id.clone().filter(|_| random.chance(60));
    external.unwrap_or_else(|| resource.id.to_string())
}

/// Another spelling of a path, or what is near it.
fn varied(path: &str, random: &mut Random) -> String {
    match random.below(10) {
        0 => path.to_ascii_uppercase(),
        1 | 2 => path.replace("tts", "Tts").replace("voices", "VOICES").replace("devices", "Devices"),
        3 => format!("{path}.json"),
        4 => format!("{path}/"),
        5 => path.replacen('/', "//", 1),
        6 => format!("{path}/%2e"),
        7 => format!("{path}?x=/../"),
        8 => path.replace('t', "%74").replace('o', "%6F"),
        _ => format!("{path}/more"),
    }
}
