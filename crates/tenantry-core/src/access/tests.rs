//! Cases of the rights of a caller.

mod reference;

use super::*;
use crate::id::{Id, RoleId, SessionId};
use crate::key::Environment;
use crate::lineage::tests::{id, line};
use crate::restriction::tests::{endpoints, rule};
use crate::restriction::{Call, Imposer, Mode, Restriction, Target};
use crate::role::{BuiltIn, Role, RoleRef};
use crate::session::Proof;

const NOW: Timestamp = Timestamp(10);

fn key_of(n: u8, scopes: Option<PermissionSet>) -> Key {
    Key {
        id: KeyId::from_bytes([n; 16]),
        account_id: id(n),
        user_id: None,
        maker_id: None,
        name: "k".to_owned(),
        environment: Environment::Live,
        last_four: "abcd".to_owned(),
        scopes,
        networks: None,
        limits: CallLimits::NONE,
        created_at: Timestamp(0),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        last_used_ip: None,
        rotated_from: None,
    }
}

fn plain(n: u8) -> Lineage {
    line(n, |_, _| ())
}

fn with_key(key: &Key, line: &Lineage, assume: Option<Assume<'_>>) -> Result<Caller, Code> {
    Caller::admit(Bearer::Key { key, line, people: Vec::new() }, assume, Rules::default(), NOW)
        .map_err(|refusal| refusal.code)
}

fn caller(n: u8) -> Caller {
    with_key(&key_of(n, None), &plain(n), None).expect("active")
}

fn assume(n: u8, target: u8, change: impl Fn(u8, &mut Account)) -> Result<Caller, Code> {
    let target_line = line(target, &change);
    let assume = Assume { id: id(target), line: Some(&target_line) };
    with_key(&key_of(n, None), &line(n, &change), Some(assume))
}

#[test]
fn a_key_reaches_down_and_never_up() {
    let caller = caller(2);
    assert_eq!(caller.rights_over(&plain(2)), OF_ACCOUNT);
    assert_eq!(caller.rights_over(&plain(4)), OF_ACCOUNT);
    assert!(!caller.sees(&plain(1)));
    assert_eq!(caller.check(&plain(1), Permission::AccountRead).map_err(|r| r.code), Err(Code::NotFound));
}

#[test]
fn scopes_narrow_a_key_everywhere() {
    let scopes = PermissionSet::of(&[Permission::AccountRead]);
    let caller = with_key(&key_of(1, Some(scopes)), &plain(1), None).expect("active");
    assert_eq!(caller.rights_over(&plain(3)), scopes);
    assert_eq!(caller.check(&plain(3), Permission::AccountMove).map_err(|r| r.code), Err(Code::PermissionDenied));
}

#[test]
fn an_account_that_does_not_inherit_admins_keeps_ancestors_out_but_not_their_auditors() {
    let target = line(4, |n, a| a.inherits.admins = n != 3);
    assert_eq!(caller(1).rights_over(&target), SHUT_OUT);
    assert_eq!(caller(3).rights_over(&target), OF_ACCOUNT, "the switch is about those above it");
    assert_eq!(assume(1, 4, |n, a| a.inherits.admins = n != 3), Err(Code::AssumeForbidden));
}

#[test]
fn assuming_moves_the_subject_down_only() {
    let caller = assume(1, 3, |_, _| ()).expect("a descendant");
    assert_eq!((caller.subject, caller.actor.account()), (Some(id(3)), Some(id(1))));
    assert!(!caller.sees(&plain(2)), "what the subject cannot see, the actor cannot see through it");
    assert_eq!(assume(2, 2, |_, _| ()), Ok(self::caller(2)), "the own id changes nothing");
    assert_eq!(assume(3, 1, |_, _| ()), Err(Code::AssumeForbidden), "upwards");
    let suspended = |n: u8, a: &mut Account| a.status = if n == 3 { Status::Suspended } else { Status::Active };
    assert_eq!(assume(1, 3, suspended), Err(Code::AssumeForbidden));
    let unknown = Assume { id: id(9), line: None };
    let key = key_of(1, None);
    assert_eq!(with_key(&key, &plain(1), Some(unknown)), Err(Code::AssumeForbidden));
}

#[test]
fn the_operator_may_all_but_keeps_to_the_subject_while_assuming() {
    let operator = Caller::admit(Bearer::Operator, None, Rules::default(), NOW).expect("always");
    assert!(operator.is_operator() && operator.sees(&plain(3)));
    let line = plain(2);
    let assumed = Caller::admit(Bearer::Operator, Some(Assume { id: id(2), line: Some(&line) }), Rules::default(), NOW)
        .expect("active");
    assert!(!assumed.sees(&plain(1)) && assumed.check_operator().is_err());
}

#[test]
fn dead_keys_and_shut_accounts_are_told_apart() {
    let revoked = Key { revoked_at: Some(Timestamp(1)), expires_at: Some(Timestamp(1)), ..key_of(2, None) };
    let admit = |key: &Key, line: &Lineage| with_key(key, line, None);
    assert_eq!(admit(&revoked, &plain(2)), Err(Code::KeyRevoked));
    let expired = Key { expires_at: Some(NOW), ..key_of(2, None) };
    assert_eq!(admit(&expired, &plain(2)), Err(Code::KeyExpired));
    let below = line(2, |n, a| a.status = if n == 1 { Status::Suspended } else { Status::Active });
    assert_eq!(admit(&key_of(2, None), &below), Err(Code::AccountSuspended));
    let closed = line(2, |n, a| a.status = if n == 2 { Status::Closed } else { Status::Active });
    assert_eq!(admit(&key_of(2, None), &closed), Err(Code::AccountClosed));
}

/// The personal account of the people in these tests: a line of its own.
const PERSONAL: u8 = 100;

fn user(n: u8) -> UserId {
    UserId::from_bytes([n; 16])
}

fn holds(n: u8, account: u8, role: BuiltIn) -> Membership {
    Membership { account: id(account), user: user(n), role: Role::built_in(role) }
}

fn personal_line() -> Lineage {
    Lineage::of_root(Account { id: id(PERSONAL), kind: Kind::Personal, ..plain(1).account().clone() })
}

fn session() -> Session {
    Session {
        id: SessionId::from_bytes([1; 16]),
        user_id: user(1),
        proof: Proof::Password,
        proven_at: NOW,
        created_at: NOW,
        last_seen_at: NOW,
        ip: None,
        user_agent: None,
    }
}

fn signed_in(memberships: Vec<Membership>, assume: Option<Assume<'_>>) -> Result<Caller, Code> {
    let bearer =
        Bearer::Session { session: &session(), line: &personal_line(), person: Person { user: user(1), memberships } };
    Caller::admit(bearer, assume, Rules::default(), NOW).map_err(|refusal| refusal.code)
}

#[test]
fn a_person_acts_as_the_member_that_they_are_closest_by() {
    let caller = signed_in(vec![holds(1, 1, BuiltIn::Admin), holds(1, 2, BuiltIn::Member)], None).expect("signed in");
    assert_eq!((caller.subject, caller.on_behalf), (Some(id(PERSONAL)), false));
    for (target, account) in [(1, 1), (2, 2), (3, 1)] {
        let facing = caller.clone().facing(&plain(target));
        assert_eq!(facing.actor, Actor::User { user: user(1), account: id(account) }, "{target}");
        assert_eq!(facing.subject, Some(id(account)));
    }
}

#[test]
fn a_member_is_not_a_member_below() {
    let caller = signed_in(vec![holds(1, 1, BuiltIn::Member)], None).expect("signed in");
    assert!(caller.sees(&plain(1)) && !caller.sees(&plain(2)));
    let source = signed_in(vec![holds(1, 1, BuiltIn::Maintainer)], None)
        .expect("signed in")
        .explain(&plain(3), Permission::MemberInvite);
    assert_eq!(source, Ok(Source::Role { user: user(1), role: "maintainer".to_owned(), account: id(1) }));
}

#[test]
fn members_assume_what_they_are_a_member_of_and_administrators_what_is_below() {
    let to = |target: u8, memberships: Vec<Membership>| {
        let line = plain(target);
        let assumed = signed_in(memberships, Some(Assume { id: id(target), line: Some(&line) }));
        assumed.map(|caller| (caller.subject == Some(id(target)), caller.on_behalf, caller.rights_over(&line)))
    };
    assert_eq!(
        to(2, vec![holds(1, 2, BuiltIn::Member)]),
        Ok((true, false, BuiltIn::Member.permissions())),
        "as a member"
    );
    let (_, on_behalf, rights) = to(3, vec![holds(1, 2, BuiltIn::Maintainer)]).expect("below");
    assert!(on_behalf && rights == Role::built_in(BuiltIn::Maintainer).inherited());
    assert_eq!(to(3, vec![holds(1, 2, BuiltIn::Member)]), Err(Code::AssumeForbidden));
    assert_eq!(to(1, vec![holds(1, 2, BuiltIn::Admin)]), Err(Code::AssumeForbidden), "upwards");
}

#[test]
fn s15_a_key_shrinks_with_its_maker_and_dies_with_them() {
    let made = Key { maker_id: Some(user(1)), ..key_of(2, None) };
    let with_maker = |memberships: Vec<Membership>| {
        let people = vec![Person { user: user(1), memberships }];
        Caller::admit(Bearer::Key { key: &made, line: &plain(2), people }, None, Rules::default(), NOW)
            .map_err(|refusal| refusal.code)
    };
    let rights = |memberships| with_maker(memberships).map(|caller| caller.rights_over(&plain(2)));
    assert_eq!(rights(vec![holds(1, 2, BuiltIn::Admin)]), Ok(BuiltIn::Admin.permissions()));
    assert_eq!(rights(vec![holds(1, 2, BuiltIn::Member)]), Ok(BuiltIn::Member.permissions()));
    assert_eq!(rights(vec![]), Err(Code::KeyRevoked));
    assert_eq!(
        rights(vec![holds(1, 1, BuiltIn::Admin)]),
        Ok(Role::built_in(BuiltIn::Admin).inherited()),
        "an admin from above"
    );
    let caller = with_maker(vec![holds(1, 1, BuiltIn::Admin)]).expect("alive");
    assert!(!caller.sees(&plain(1)), "but the key stays in its account");
    assert_eq!((caller.actor.user(), caller.maker()), (None, Some(user(1))));
}

#[test]
fn members_of_a_suspended_account_are_told_so() {
    let suspended = line(2, |n, a| a.status = if n == 2 { Status::Suspended } else { Status::Active });
    let check = |account| {
        let caller = signed_in(vec![holds(1, account, BuiltIn::Admin)], None).expect("signed in").facing(&suspended);
        caller.check(&suspended, Permission::AccountSuspend).map_err(|refusal| refusal.code)
    };
    assert_eq!(check(2), Err(Code::AccountSuspended), "nobody lifts a suspension that binds themselves");
    assert_eq!(check(1), Ok(()));
}

fn with_rules(rules: Rules, bearer: Bearer<'_>, assume: Option<Assume<'_>>) -> Caller {
    Caller::admit(bearer, assume, rules, NOW).expect("admitted")
}

#[test]
fn s36_a_rule_for_the_whole_account_binds_maintainers_and_members_but_not_its_admins() {
    let call = |role: Option<BuiltIn>, imposer: u8, method, path: &str| {
        let no_tts = Restriction {
            endpoints: vec![endpoints("voice", &[], "/tts/**")],
            ..rule(1, 2, imposer, Mode::Deny, Target::Account)
        };
        let rules = Rules { restrictions: vec![no_tts], allowlists: Vec::new() };
        let key = Key { user_id: role.map(|_| user(1)), ..key_of(2, None) };
        let people =
            role.map(|role| Person { user: user(1), memberships: vec![holds(1, 2, role)] }).into_iter().collect();
        let caller = with_rules(rules, Bearer::Key { key: &key, line: &plain(2), people }, None);
        let path = crate::path::CanonicalPath::parse(path).expect("path");
        caller.check_call(&Call { api: "voice", method, path: &path }, None, &plain(2)).map_err(|refusal| refusal.code)
    };
    use crate::method::Method::Post;
    let denied = Err(Code::EndpointRestricted);
    assert_eq!(call(Some(BuiltIn::Admin), 2, Post, "/tts/ann"), Ok(()));
    assert_eq!(call(Some(BuiltIn::Maintainer), 2, Post, "/tts/ann"), denied);
    assert_eq!(call(Some(BuiltIn::Member), 2, Post, "/tts/ann"), denied);
    assert_eq!(call(None, 2, Post, "/tts/ann"), denied, "a key of the account itself is no admin");
    assert_eq!(call(Some(BuiltIn::Admin), 1, Post, "/tts/ann"), denied, "imposed from above");
    assert_eq!(call(Some(BuiltIn::Member), 2, Post, "/voices"), Ok(()));
}

#[test]
fn lists_of_all_sides_apply_and_are_named_to_those_who_see_them() {
    let list = |n: u8, holder: u8, enforced| crate::allowlist::Allowlist {
        id: crate::id::AllowlistId::from_bytes([n; 16]),
        account_id: id(holder),
        api: None,
        networks: Networks::parse(&["10.0.0.0/8"]).expect("networks"),
        enforced,
        set_by: "operator".to_owned(),
        version: 1,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    };
    let path = crate::path::CanonicalPath::parse("/x").expect("path");
    let refused = |lists: Vec<crate::allowlist::Allowlist>, key: u8, assumed: Option<u8>, address: &str| {
        let rules = Rules { restrictions: Vec::new(), allowlists: lists };
        let (key, line, own) = (key_of(key, None), assumed.map(plain), plain(key));
        let assume = line.as_ref().map(|line| Assume { id: line.account().id, line: Some(line) });
        let caller = with_rules(rules, Bearer::Key { key: &key, line: &own, people: Vec::new() }, assume);
        let call = Call { api: "voice", method: crate::method::Method::Get, path: &path };
        let target = line.unwrap_or(own);
        caller.check_call(&call, address.parse().ok(), &target).err().map(|refusal| refusal.detail.into_owned())
    };
    let named = |n: u8, holder: u8| {
        Some(format!("The list is {} of {}.", crate::id::AllowlistId::from_bytes([n; 16]), id(holder)))
    };
    assert_eq!(refused(vec![list(1, 2, false)], 2, None, "192.0.2.1"), named(1, 2));
    assert_eq!(refused(vec![list(1, 2, false)], 2, None, "10.1.1.1"), None);
    assert_eq!(refused(vec![list(1, 1, false)], 2, None, "192.0.2.1"), None, "not enforced");
    let anonymous = Some("The list is one of an account above.".to_owned());
    assert_eq!(refused(vec![list(1, 1, true)], 2, None, "192.0.2.1"), anonymous);
    assert_eq!(
        refused(vec![list(1, 1, false)], 1, Some(3), "192.0.2.1"),
        anonymous,
        "the actor's own: as 3, it is not seen"
    );
    assert_eq!(refused(vec![list(1, 3, false)], 1, Some(3), "192.0.2.1"), named(1, 3), "the subject's");
}
