//! Restrictions: rules that take something away from an account, a role, a user or a key.
//!
//! A rule counts for the account that holds it and for all below. One that an account makes for itself as a whole does
//! not bind its admins, so that they can always take it back; it does bind maintainers. One that an account above imposed
//! binds everybody here, and ceases to count when the account leaves the tree of whoever imposed it.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;
use crate::account::{UnknownWord, words};
use crate::id::{AccountId, KeyId, RestrictionId, UserId};
use crate::method::{Method, MethodSet};
use crate::path::{CanonicalPath, Pattern, Reading};
use crate::permission::{Permission, PermissionSet};
use crate::refusal::{Code, Refusal};
use crate::role::RoleRef;

/// The name under which rules know the control plane itself.
pub const CONTROL_API: &str = "tenantry";

/// The most restrictions of one account.
pub const MOST_RESTRICTIONS: u32 = 200;

words! {
    /// What a rule says about what it names.
    Mode {
        /// Only that.
        Allow = "allow",
        /// Not that.
        Deny = "deny",
    }
}

/// Whom a rule narrows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The account as a whole.
    Account,
    /// Those who hold a role.
    Role(RoleRef),
    /// One person.
    User(UserId),
    /// One key.
    Key(KeyId),
}

impl fmt::Display for Target {
    /// One word: the prefix of an id tells what it is the id of.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account => f.write_str("account"),
            Self::Role(RoleRef::BuiltIn(role)) => role.fmt(f),
            Self::Role(RoleRef::Custom(id)) => id.fmt(f),
            Self::User(id) => id.fmt(f),
            Self::Key(id) => id.fmt(f),
        }
    }
}

impl FromStr for Target {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let built_in = || text.parse().map(|role| Self::Role(RoleRef::BuiltIn(role))).ok();
        let custom = || text.parse().map(|id| Self::Role(RoleRef::Custom(id))).ok();
        let user = || text.parse().map(Self::User).ok();
        let key = || text.parse().map(Self::Key).ok();
        let named = || built_in().or_else(custom).or_else(user).or_else(key);
        if text == "account" { Ok(Self::Account) } else { named().ok_or(UnknownWord) }
    }
}

/// On whose authority a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Imposer {
    /// The operator's.
    Operator,
    /// That of the account which holds it, or of one above.
    Account(AccountId),
}

/// Endpoints, as a rule names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Of which API.
    pub api: Box<str>,
    /// By which methods.
    pub methods: MethodSet,
    /// Below the API's base path.
    pub path: Pattern,
}

/// One call, as rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The API that it goes to.
    pub api: &'a str,
    /// How.
    pub method: Method,
    /// Where, below the API's base path.
    pub path: &'a CanonicalPath<'a>,
}

/// How much of an endpoint is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// No path of it.
    None,
    /// Some paths, or as far as can be told from one pattern alone.
    Some,
    /// Every path of it.
    All,
}

impl Endpoints {
    fn cover(&self, call: &Call<'_>, reading: Reading) -> bool {
        *self.api == *call.api && self.methods.holds(call.method) && self.path.covers(call.path, reading)
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    /// Its id.
    pub id: RestrictionId,
    /// The account that it is about.
    pub account_id: AccountId,
    /// On whose authority it stands.
    pub imposed_by: Imposer,
    /// What it says about what it names.
    pub mode: Mode,
    /// Whom it narrows.
    pub target: Target,
    /// The endpoints that it names; if none, it says nothing about calls.
    pub endpoints: Vec<Endpoints>,
    /// The permissions that it names; if none, it says nothing about them.
    pub permissions: PermissionSet,
    /// Who set it: the id of a user or of a key, or `operator`.
    pub set_by: String,
    /// Counts its changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A caller, seen from the account that holds a rule.
pub trait Standing {
    /// Whether everybody behind the credential is an admin of the account, by a role there or inherited from above.
    fn is_admin(&self) -> bool;
    /// Whether the caller acts for `imposer`, or for an account above it: they could lift what it imposed.
    fn acts_from(&self, imposer: AccountId) -> bool;
    /// Whether somebody behind the credential holds the role.
    fn has_role(&self, role: RoleRef) -> bool;
    /// Whether this is one of the people behind the credential.
    fn is_user(&self, user: UserId) -> bool;
    /// Whether this is the credential.
    fn is_key(&self, key: KeyId) -> bool;
}

impl Restriction {
    /// Whether an account above imposed it, or the operator.
    #[must_use]
    pub fn is_imposed(&self) -> bool {
        self.imposed_by != Imposer::Account(self.account_id)
    }

    /// Whether the rule counts, given which accounts are above the one that holds it.
    #[must_use]
    pub fn counts(&self, is_above: impl FnOnce(AccountId) -> bool) -> bool {
        match self.imposed_by {
            Imposer::Operator => true,
            Imposer::Account(imposer) => imposer == self.account_id || is_above(imposer),
        }
    }

    /// Whether the rule is about the caller.
    #[must_use]
    pub fn binds(&self, caller: &impl Standing) -> bool {
        let is_meant = match self.target {
            Target::Account => true,
            Target::Role(role) => caller.has_role(role),
            Target::User(user) => caller.is_user(user),
            Target::Key(key) => caller.is_key(key),
        };
        is_meant && !self.exempts(caller)
    }

    fn exempts(&self, caller: &impl Standing) -> bool {
        match self.imposed_by {
            Imposer::Operator => false,
            Imposer::Account(own) if own == self.account_id => self.target == Target::Account && caller.is_admin(),
            Imposer::Account(above) => caller.acts_from(above),
        }
    }

    /// Whether the rule, where it binds, forbids the call. One that allows says nothing about the control plane unless
    /// it names it: who may only call one API can still sign in.
    #[must_use]
    pub fn forbids(&self, call: &Call<'_>) -> bool {
        let names = |reading| self.endpoints.iter().any(|endpoints| endpoints.cover(call, reading));
        match self.mode {
            Mode::Deny => names(Reading::Careless),
            Mode::Allow => {
                let silent = match call.api {
                    CONTROL_API => !self.endpoints.iter().any(|endpoints| *endpoints.api == *CONTROL_API),
                    _ => self.endpoints.is_empty(),
                };
                !silent && !names(Reading::Exact)
            }
        }
    }

    /// How much of an endpoint the rule, where it binds, forbids.
    #[must_use]
    pub fn forbids_of(&self, api: &str, method: Method, path: &Pattern) -> Part {
        let named = self.endpoints.iter().filter(|own| *own.api == *api && own.methods.holds(method));
        let (mut meets, mut covers) = (false, false);
        let reading = if self.mode == Mode::Deny { Reading::Careless } else { Reading::Exact };
        for own in named {
            meets |= own.path.meets(path, reading);
            covers |= own.path.covers_all_of(path, reading);
        }
        match self.mode {
            Mode::Deny if covers => Part::All,
            Mode::Deny if meets => Part::Some,
            Mode::Deny => Part::None,
            Mode::Allow if self.endpoints.is_empty() || covers => Part::None,
            Mode::Allow if meets => Part::Some,
            Mode::Allow => Part::All,
        }
    }

    /// The permissions that the rule, where it binds, takes away.
    #[must_use]
    pub fn takes_away(&self) -> PermissionSet {
        match self.mode {
            Mode::Deny => self.permissions,
            Mode::Allow if self.permissions.is_empty() => PermissionSet::NONE,
            Mode::Allow => {
                PermissionSet::ALL.without(self.permissions).without(PermissionSet::of(&[Permission::AccountRead]))
            }
        }
    }
}

/// Whether an account may make a rule for itself about somebody who is, or a role that is, its admin.
///
/// # Errors
/// `admin_not_restrictable`.
pub fn check_target(imposed: bool, is_admin: bool) -> Result<(), Refusal> {
    if is_admin && !imposed { Err(Code::AdminNotRestrictable.into()) } else { Ok(()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::id::Id;
    use crate::role::BuiltIn;

    pub(crate) fn account(n: u8) -> AccountId {
        AccountId::from_bytes([n; 16])
    }

    pub(crate) fn rule(n: u8, holder: u8, imposer: u8, mode: Mode, target: Target) -> Restriction {
        Restriction {
            id: RestrictionId::from_bytes([n; 16]),
            account_id: account(holder),
            imposed_by: Imposer::Account(account(imposer)),
            mode,
            target,
            endpoints: Vec::new(),
            permissions: PermissionSet::NONE,
            set_by: "operator".to_owned(),
            version: 1,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    pub(crate) fn endpoints(api: &str, methods: &[Method], path: &str) -> Endpoints {
        let methods = if methods.is_empty() { MethodSet::ALL } else { methods.iter().copied().collect() };
        Endpoints { api: api.into(), methods, path: Pattern::parse(path).expect("pattern") }
    }

    struct Someone {
        admin: bool,
        from: Option<u8>,
        role: BuiltIn,
        user: u8,
    }

    impl Standing for Someone {
        fn is_admin(&self) -> bool {
            self.admin
        }
        fn acts_from(&self, imposer: AccountId) -> bool {
            self.from.map(account) == Some(imposer)
        }
        fn has_role(&self, role: RoleRef) -> bool {
            role == RoleRef::BuiltIn(self.role)
        }
        fn is_user(&self, user: UserId) -> bool {
            user == UserId::from_bytes([self.user; 16])
        }
        fn is_key(&self, _: KeyId) -> bool {
            false
        }
    }

    #[test]
    fn targets_are_one_word() {
        for target in [
            Target::Account,
            Target::Role(RoleRef::BuiltIn(BuiltIn::Member)),
            Target::Role(RoleRef::Custom(Id::from_bytes([1; 16]))),
            Target::User(Id::from_bytes([2; 16])),
            Target::Key(Id::from_bytes([3; 16])),
        ] {
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        assert_eq!("everybody".parse::<Target>(), Err(UnknownWord));
    }

    #[test]
    fn whom_a_rule_binds() {
        let admin = Someone { admin: true, from: None, role: BuiltIn::Admin, user: 1 };
        let maintainer = Someone { admin: false, from: None, role: BuiltIn::Maintainer, user: 2 };
        let parent = Someone { admin: true, from: Some(1), role: BuiltIn::Admin, user: 3 };
        let user = |n| Target::User(UserId::from_bytes([n; 16]));
        for (imposer, target, binds) in [
            (2, Target::Account, [false, true, false]),
            (1, Target::Account, [true, true, false]),
            (2, Target::Role(RoleRef::BuiltIn(BuiltIn::Maintainer)), [false, true, false]),
            (2, user(2), [false, true, false]),
            (1, user(1), [true, false, false]),
        ] {
            let rule = rule(1, 2, imposer, Mode::Deny, target);
            assert_eq!([&admin, &maintainer, &parent].map(|caller| rule.binds(caller)), binds, "{imposer} {target:?}");
        }
        let operators = Restriction { imposed_by: Imposer::Operator, ..rule(1, 2, 2, Mode::Deny, Target::Account) };
        assert!(operators.binds(&admin) && operators.binds(&parent) && operators.counts(|_| false));
    }

    #[test]
    fn an_imposed_rule_counts_below_its_imposer_only() {
        let rule = rule(1, 2, 1, Mode::Deny, Target::Account);
        assert!(rule.counts(|id| id == account(1)) && !rule.counts(|_| false));
    }

    #[test]
    fn what_a_rule_forbids() {
        let forbids = |mode, named: &[Endpoints], api: &str, method, path: &str| {
            let path = CanonicalPath::parse(path).expect("path");
            let rule = Restriction { endpoints: named.to_vec(), ..rule(1, 1, 1, mode, Target::Account) };
            rule.forbids(&Call { api, method, path: &path })
        };
        let tts = [endpoints("voice", &[Method::Post], "/tts/{voice}")];
        for (mode, api, method, path, expected) in [
            (Mode::Deny, "voice", Method::Post, "/tts/ann", true),
            (Mode::Deny, "voice", Method::Post, "/TTS/ann", true),
            (Mode::Deny, "voice", Method::Get, "/tts/ann", false),
            (Mode::Deny, "image", Method::Post, "/tts/ann", false),
            (Mode::Allow, "voice", Method::Post, "/tts/ann", false),
            (Mode::Allow, "voice", Method::Post, "/TTS/ann", true),
            (Mode::Allow, "voice", Method::Get, "/tts/ann", true),
            (Mode::Allow, "image", Method::Get, "/x", true),
            (Mode::Allow, CONTROL_API, Method::Get, "/users/me", false),
        ] {
            assert_eq!(forbids(mode, &tts, api, method, path), expected, "{mode} {api} {method} {path}");
        }
        let control = [endpoints(CONTROL_API, &[Method::Get], "/**")];
        assert!(forbids(Mode::Allow, &control, CONTROL_API, Method::Post, "/accounts"));
        assert!(
            !forbids(Mode::Allow, &[], "voice", Method::Get, "/x")
                && !forbids(Mode::Deny, &[], "voice", Method::Get, "/x")
        );
    }

    #[test]
    fn what_a_rule_takes_away() {
        let some = PermissionSet::of(&[Permission::CreditsConsume]);
        let takes =
            |mode, permissions| Restriction { permissions, ..rule(1, 1, 1, mode, Target::Account) }.takes_away();
        assert_eq!(takes(Mode::Deny, some), some);
        assert_eq!(takes(Mode::Deny, PermissionSet::NONE), PermissionSet::NONE);
        assert_eq!(takes(Mode::Allow, PermissionSet::NONE), PermissionSet::NONE);
        let rest = takes(Mode::Allow, some);
        assert!(rest.holds(Permission::KeyManage) && !rest.holds(Permission::CreditsConsume));
        assert!(!rest.holds(Permission::AccountRead), "who may do anything sees the account");
    }

    #[test]
    fn an_account_does_not_restrict_its_own_admins() {
        assert_eq!(check_target(false, true).map_err(|r| r.code), Err(Code::AdminNotRestrictable));
        assert!(check_target(true, true).is_ok() && check_target(false, false).is_ok());
    }
}
