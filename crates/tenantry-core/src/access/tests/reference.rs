//! A slow model that the rights of a caller are held against, in random situations.

use proptest::prelude::*;

use super::*;

/// One random situation: a line of accounts, people with roles, and a credential.
#[derive(Debug, Clone)]
struct World {
    /// Whether each account of the line inherits administrators, root first.
    inherits: Vec<bool>,
    /// User, level, role.
    memberships: Vec<(u8, u8, Role)>,
    credential: Credential,
    scopes: Option<PermissionSet>,
    /// The level of the account to assume.
    assume: Option<u8>,
    rules: Vec<Restriction>,
}

#[derive(Debug, Clone, Copy)]
enum Credential {
    Operator,
    Session,
    /// A key of the account at this level, with the people behind it.
    Key(u8, &'static [u8]),
}

impl World {
    fn depth(&self) -> u8 {
        u8::try_from(self.inherits.len()).expect("few")
    }

    fn line(&self, level: u8) -> Lineage {
        line(level, |n, account| account.inherits.admins = self.inherits[usize::from(n - 1)])
    }

    fn rules(&self) -> Rules {
        Rules { restrictions: self.rules.clone(), allowlists: Vec::new() }
    }

    fn person(&self, n: u8) -> Person {
        let own = self.memberships.iter().filter(|(who, ..)| *who == n);
        let memberships = own
            .map(|(who, level, role)| Membership { account: id(*level), user: user(*who), role: role.clone() })
            .collect();
        Person { user: user(n), memberships }
    }

    fn caller(&self, assume: Option<u8>) -> Result<Caller, Code> {
        let assumed = assume.map(|level| (id(level), self.line(level)));
        let assume = assumed.as_ref().map(|(id, line)| Assume { id: *id, line: Some(line) });
        let session = session();
        let personal = personal_line();
        let admitted = match self.credential {
            Credential::Operator => Caller::admit(Bearer::Operator, assume, self.rules(), NOW),
            Credential::Session => {
                let bearer = Bearer::Session { session: &session, line: &personal, person: self.person(1) };
                Caller::admit(bearer, assume, self.rules(), NOW)
            }
            Credential::Key(level, people) => {
                let people = people.iter().map(|n| self.person(*n)).collect();
                let (key, line) = (key_of(level, self.scopes), self.line(level));
                Caller::admit(Bearer::Key { key: &key, line: &line, people }, assume, self.rules(), NOW)
            }
        };
        admitted.map_err(|refusal| refusal.code)
    }

    /// What `n` holds at `level`, written down from the text of the design, one membership after the other.
    fn slow_person(&self, n: u8, level: u8) -> Vec<Permission> {
        let mut held = Vec::new();
        for (who, at, role) in &self.memberships {
            let home = role.home.map_or(1, |home| home.bytes()[0]);
            if *who != n || *at > level || home > *at {
                continue;
            }
            let open = (*at + 1..=level).all(|between| self.inherits[usize::from(between - 1)]);
            let administers = role.permissions.iter().any(|p| !p.held_by().contains(&BuiltIn::Member));
            for permission in role.permissions.iter() {
                let inherited = administers
                    && permission != Permission::OrganizationLeave
                    && (open || [Permission::AccountRead, Permission::AuditRead].contains(&permission));
                if *at == level || inherited {
                    held.push(permission);
                }
            }
        }
        held
    }

    fn slow_account(&self, home: u8, level: u8, permission: Permission) -> bool {
        let open = (home + 1..=level).all(|between| self.inherits[usize::from(between - 1)]);
        home <= level && (open || [Permission::AccountRead, Permission::AuditRead].contains(&permission))
    }

    /// The people behind the credential.
    fn people(&self) -> &'static [u8] {
        match self.credential {
            Credential::Operator => &[],
            Credential::Session => &[1],
            Credential::Key(_, people) => people,
        }
    }

    /// Whether a rule takes `permission` away at `level` from who acts for the account at `home`; `None` is a person for themselves.
    fn slow_taken(&self, home: Option<u8>, level: u8, permission: Permission) -> bool {
        self.rules.iter().any(|rule| {
            let (holder, Imposer::Account(imposer)) = (rule.account_id.bytes()[0], rule.imposed_by) else {
                return false;
            };
            let imposer = imposer.bytes()[0];
            let takes = match rule.mode {
                Mode::Deny => rule.permissions.holds(permission),
                Mode::Allow => {
                    !rule.permissions.is_empty()
                        && !rule.permissions.holds(permission)
                        && permission != Permission::AccountRead
                }
            };
            let open = |from: u8| (from + 1..=holder).all(|between| self.inherits[usize::from(between - 1)]);
            let is_admin = |n: &u8| {
                let admin = |at: u8, role: &Role| at <= holder && role.is_admin() && open(at);
                self.memberships.iter().any(|(who, at, role)| who == n && admin(*at, role))
            };
            let exempt = if imposer == holder {
                rule.target == Target::Account
                    && match self.people() {
                        [] => home.is_some_and(|home| home < holder && open(home)),
                        people => people.iter().all(is_admin),
                    }
            } else {
                home.map_or(self.slow_person(1, imposer).contains(&Permission::RestrictionManage), |home| {
                    home <= imposer
                })
            };
            let meant = match rule.target {
                Target::Account => true,
                Target::Role(which) => {
                    let held = |n: &u8| {
                        self.memberships.iter().any(|(who, at, role)| who == n && *at <= level && role.which == which)
                    };
                    self.people().iter().any(held)
                }
                Target::User(user) => self.people().contains(&user.bytes()[0]),
                Target::Key(key) => matches!(self.credential, Credential::Key(n, _) if n == key.bytes()[0]),
            };
            holder <= level && takes && meant && !exempt
        })
    }

    /// Whether the credential holds `permission` at `level`, acting for nobody else.
    fn slow(&self, level: u8, permission: Permission) -> bool {
        let home = match self.credential {
            Credential::Operator => return true,
            Credential::Session => None,
            Credential::Key(home, _) => Some(home),
        };
        self.slow_unrestricted(level, permission) && !self.slow_taken(home, level, permission)
    }

    fn slow_unrestricted(&self, level: u8, permission: Permission) -> bool {
        match self.credential {
            Credential::Operator => true,
            Credential::Session => self.slow_person(1, level).contains(&permission),
            Credential::Key(home, people) => {
                self.scopes.is_none_or(|scopes| scopes.holds(permission))
                    && self.slow_account(home, level, permission)
                    && people.iter().all(|n| self.slow_person(*n, level).contains(&permission))
            }
        }
    }

    /// The same while acting for another account; `None`: it may not be acted for.
    fn slow_assuming(&self, level: u8, permission: Permission) -> Option<bool> {
        let Some(subject) = self.assume else { return Some(self.slow(level, permission)) };
        if matches!(self.credential, Credential::Key(home, _) if home == subject) {
            return Some(self.slow(level, permission));
        }
        let is_member = matches!(self.credential, Credential::Session)
            && self.memberships.iter().any(|(who, at, _)| (*who, *at) == (1, subject));
        let operator = matches!(self.credential, Credential::Operator);
        let may = operator || is_member || self.slow(subject, Permission::AccountAssume);
        may.then(|| {
            self.slow(subject, permission)
                && self.slow_account(subject, level, permission)
                && !self.slow_taken(Some(subject), level, permission)
        })
    }

    /// The world with one barrier taken away, for somebody who asks about `level`.
    fn without(mut self, barrier: &Barrier, level: u8) -> Self {
        match barrier {
            Barrier::Narrowed => self.scopes = None,
            Barrier::NoRole(who) => {
                // It is no admin's, so that it lifts no rule.
                let which = RoleRef::Custom(RoleId::from_bytes([99; 16]));
                let all = Role { which, permissions: PermissionSet::ALL, ..Role::built_in(BuiltIn::Admin) };
                self.memberships.push((who.bytes()[0], level, all));
            }
            Barrier::SwitchedOff(account) => self.inherits[usize::from(account.bytes()[0] - 1)] = true,
            Barrier::Restricted(rule, _) => self.rules.retain(|own| own.id != *rule),
            Barrier::Anonymous | Barrier::Outside(_) => panic!("there is no such thing in these worlds"),
        }
        self
    }

    /// The world in which a denial was answered by doing what it says.
    fn mended(&self, assume: Option<u8>, level: u8, permission: Permission) -> Self {
        let Err(barriers) = self.caller(assume).expect("admitted").explain(&self.line(level), permission) else {
            return self.clone();
        };
        let mut world = self.clone();
        for barrier in &barriers {
            world = world.without(barrier, level);
        }
        // What the actor lacks over the account acted for is told when asked about that account.
        match assume.filter(|_| barriers.contains(&Barrier::Narrowed)) {
            Some(subject) => world.mended(None, subject, permission),
            None => world,
        }
    }
}

fn a_role() -> impl Strategy<Value = Role> {
    let built_in = prop::sample::select(BuiltIn::ALL).prop_map(Role::built_in);
    let custom = (any::<u64>(), any::<u64>(), 1_u8..=5).prop_map(|(some, narrower, home)| Role {
        which: RoleRef::Custom(RoleId::from_bytes([home; 16])),
        name: "custom".to_owned(),
        home: Some(id(home)),
        permissions: Permission::ALL.iter().copied().filter(|p| some & narrower & (1 << (*p as u8)) != 0).collect(),
    });
    prop_oneof![built_in, custom]
}

fn a_rule() -> impl Strategy<Value = Restriction> {
    let target = prop_oneof![
        Just(Target::Account),
        prop::sample::select(BuiltIn::ALL).prop_map(|role| Target::Role(RoleRef::BuiltIn(role))),
        (1_u8..=2).prop_map(|n| Target::User(user(n))),
        (1_u8..=5).prop_map(|n| Target::Key(KeyId::from_bytes([n; 16]))),
    ];
    let mode = prop::sample::select(Mode::ALL);
    (any::<u8>(), 1_u8..=5, 1_u8..=5, mode, target, any::<u64>()).prop_map(|(n, a, b, mode, target, bits)| {
        Restriction {
            permissions: Permission::ALL.iter().copied().filter(|p| bits & (1 << (*p as u8)) != 0).collect(),
            ..rule(n, a.max(b), a.min(b), mode, target)
        }
    })
}

fn a_world() -> impl Strategy<Value = (World, Permission)> {
    let inherits = prop::collection::vec(prop::bool::weighted(0.7), 1..=5);
    let scopes = prop::option::weighted(0.4, any::<u64>());
    let kind = 0_u8..6;
    (
        inherits,
        prop::collection::vec((1_u8..=2, 1_u8..=5, a_role()), 0..5),
        kind,
        any::<u8>(),
        scopes,
        any::<u8>(),
        prop::sample::select(OF_ACCOUNT.iter().collect::<Vec<_>>()),
        prop::collection::vec(a_rule(), 0..3),
    )
        .prop_map(|(inherits, mut memberships, kind, key_level, scopes, assume, permission, mut rules)| {
            let depth = u8::try_from(inherits.len()).expect("few");
            rules.retain(|rule| rule.account_id.bytes()[0] <= depth);
            rules.dedup_by_key(|rule| rule.id);
            memberships.retain(|(_, level, _)| *level <= depth);
            let at = 1 + key_level % depth;
            let credential = match kind {
                0 => Credential::Operator,
                1 | 2 => Credential::Session,
                3 => Credential::Key(at, &[]),
                4 => Credential::Key(at, &[1]),
                _ => Credential::Key(at, &[1, 2]),
            };
            let scopes =
                scopes.map(|bits| Permission::ALL.iter().copied().filter(|p| bits & (1 << (*p as u8)) != 0).collect());
            let assume = (assume % 3 == 0).then_some(1 + assume / 3 % depth);
            (World { inherits, memberships, credential, scopes, assume, rules }, permission)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn rights_are_those_of_the_slow_model_and_every_denial_says_what_would_change_it((world, permission) in a_world()) {
        let level = world.depth();
        let caller = match (world.caller(world.assume), world.slow_assuming(level, permission)) {
            // A key whose people hold nothing at all is dead, whatever it asks for.
            (Err(Code::KeyRevoked), _) => return Ok(()),
            (Err(Code::AssumeForbidden), expected) => {
                prop_assert_eq!(expected, None);
                return Ok(());
            }
            (admitted, Some(expected)) => {
                let caller = admitted.expect("admitted");
                prop_assert_eq!(caller.rights_over(&world.line(level)).holds(permission), expected);
                caller
            }
            (Ok(_), None) => panic!("assumed what must not be"),
            (Err(code), _) => panic!("{code}"),
        };
        let line = world.line(level);
        let held = caller.rights_over(&line).holds(permission);
        match caller.explain(&line, permission) {
            Ok(_) => prop_assert!(held),
            Err(barriers) => {
                prop_assert!(!held);
                let mended = world.mended(world.assume, level, permission);
                let after = mended.caller(mended.assume).expect("admitted");
                prop_assert!(after.rights_over(&mended.line(level)).holds(permission), "{:?} then {:?}", barriers, mended);
                // None of the barriers is named in vain.
                if world.assume.is_none() {
                    // Who becomes an admin again when a switch is turned is not bound by every rule any more.
                    let switched = barriers.iter().any(|barrier| matches!(barrier, Barrier::SwitchedOff(_)));
                    let certain = |barrier: &&Barrier| !(switched && matches!(barrier, Barrier::Restricted(..)));
                    for kept in barriers.iter().filter(certain) {
                        let others = barriers.iter().filter(|barrier| *barrier != kept);
                        let world = others.fold(world.clone(), |world, barrier| world.without(barrier, level));
                        if let Ok(caller) = world.caller(None) {
                            prop_assert!(!caller.rights_over(&world.line(level)).holds(permission), "{:?}", kept);
                        }
                    }
                }
            }
        }
    }
}
