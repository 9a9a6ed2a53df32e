//! Who is calling, on whose behalf, and with what rights over an account, and why.
//!
//! A person holds what their roles give them. A key of an account holds everything the account may do, narrowed by
//! the key's scopes and by what its maker may do at that moment, on the account and on its descendants. Somebody without a
//! right to see an account is told that it does not exist. `x-assume-org` makes another account the subject:
//! rights are then what the actor may do over the subject, intersected with what the subject itself may do.

mod rules;

use std::fmt;

use crate::account::{Account, Kind, Status};
use crate::id::{AccountId, KeyId, RestrictionId, UserId};
use crate::key::Key;
use crate::limit::CallLimits;
use crate::lineage::Lineage;
use crate::network::Networks;
use crate::permission::{Permission, PermissionSet};
use crate::refusal::{Code, Refusal};
use crate::rights::{Lack, Membership, OF_ACCOUNT, Person, SHUT_OUT};
use crate::session::Session;
use crate::time::Timestamp;

pub use rules::Rules;

/// What a credential turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bearer<'a> {
    /// None: only what is open to everybody.
    Nobody,
    /// The operator token.
    Operator,
    /// A key.
    Key {
        /// The key.
        key: &'a Key,
        /// The line of the account that it acts for.
        line: &'a Lineage,
        /// Those of [`Key::people`].
        people: Vec<Person>,
    },
    /// Somebody who is signed in.
    Session {
        /// The session.
        session: &'a Session,
        /// The line of their personal account.
        line: &'a Lineage,
        /// Who.
        person: Person,
    },
}

/// Who really calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Somebody without a credential.
    Nobody,
    /// The operator of the deployment.
    Operator,
    /// A key of an account.
    Key {
        /// The key.
        key: KeyId,
        /// Its account.
        account: AccountId,
        /// The person whose key it is, if it is one person's.
        user: Option<UserId>,
    },
    /// A person.
    User {
        /// Who.
        user: UserId,
        /// The account as a member of which they act.
        account: AccountId,
    },
    /// The deployment itself, doing scheduled work.
    System,
}

impl Actor {
    /// The account that acts, if it is one.
    #[must_use]
    pub const fn account(self) -> Option<AccountId> {
        match self {
            Self::Key { account, .. } | Self::User { account, .. } => Some(account),
            Self::Nobody | Self::Operator | Self::System => None,
        }
    }

    /// The person who acts, if it is one.
    #[must_use]
    pub const fn user(self) -> Option<UserId> {
        match self {
            Self::Key { user, .. } => user,
            Self::User { user, .. } => Some(user),
            Self::Nobody | Self::Operator | Self::System => None,
        }
    }

    /// The key that was used, if one was.
    #[must_use]
    pub const fn key(self) -> Option<KeyId> {
        match self {
            Self::Key { key, .. } => Some(key),
            Self::Nobody | Self::Operator | Self::User { .. } | Self::System => None,
        }
    }

    /// The word for the kind of actor, as stored and sent.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Operator => "operator",
            Self::Key { .. } => "key",
            Self::User { .. } => "user",
            Self::System => "system",
        }
    }
}

/// Where the rights of a caller come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Authority {
    /// Nowhere.
    Nothing,
    /// From being the operator.
    Everything,
    /// From an account: on it and below, all that it may do itself.
    Account(AccountId),
    /// From people: what all of them hold, on an account and below, or anywhere.
    People(Option<AccountId>),
}

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who really calls.
    pub actor: Actor,
    /// The account on whose behalf; `None` is the operator acting for nobody.
    pub subject: Option<AccountId>,
    /// Whether the subject was assumed by right of being an administrator above it, not of being a member.
    pub on_behalf: bool,
    /// The people behind the credential; the first is the one who calls, if the actor is a person.
    people: Vec<Person>,
    authority: Authority,
    /// Whether this is one person, who can turn to whatever they are a member of.
    roams: bool,
    /// What may be done at most, over any account.
    ceiling: PermissionSet,
    /// The scopes of the key, if there is one and it has any.
    narrowing: Option<PermissionSet>,
    /// From where the key may be used, if it says.
    networks: Option<Networks>,
    /// What the calls of the key are limited to.
    limits: CallLimits,
    /// The rules of the accounts that the request is about.
    rules: Rules,
    /// The lines of the account that the credential belongs to, and of the one assumed: their rules apply wherever the caller
    /// turns to. They are kept only where there are rules.
    origins: Vec<Lineage>,
}

/// The account that a request wants to act for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assume<'a> {
    /// The id in the header.
    pub id: AccountId,
    /// Its line, if there is such an account.
    pub line: Option<&'a Lineage>,
}

/// What a permission comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Being the operator.
    Operator,
    /// Acting for this account, which is the one asked about or above it.
    Account(AccountId),
    /// A role that a person holds on this account.
    Role {
        /// Whose.
        user: UserId,
        /// What the role is called.
        role: String,
        /// Where they hold it.
        account: AccountId,
    },
}

/// One thing that stands between a caller and a permission. Taking away all that are named gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Barrier {
    /// There is no credential.
    Anonymous,
    /// The account asked about is neither the one acted for nor below it.
    Outside(AccountId),
    /// The scopes of the key do not hold it, or the actor does not hold it over the account acted for.
    Narrowed,
    /// No role of this person holds it here.
    NoRole(UserId),
    /// This account does not inherit administrators.
    SwitchedOff(AccountId),
    /// A rule of the account takes it away.
    Restricted(RestrictionId, AccountId),
}

impl fmt::Display for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("There is no credential."),
            Self::Outside(account) => write!(f, "It is neither {account} nor below it."),
            Self::Narrowed => f.write_str("The credential is narrower than that."),
            Self::NoRole(user) => write!(f, "No role of {user} holds it there."),
            Self::SwitchedOff(account) => write!(f, "{account} does not inherit administrators."),
            Self::Restricted(rule, account) => write!(f, "Restriction {rule} of {account} takes it away."),
        }
    }
}

impl Caller {
    /// Authenticates: the credential works, its account is active, the assumed account may be assumed.
    ///
    /// # Errors
    /// `key_revoked`, `key_expired`, `session_expired`, `account_suspended`, `account_closed`, `assume_forbidden`.
    pub fn admit(
        bearer: Bearer<'_>,
        assume: Option<Assume<'_>>,
        rules: Rules,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let (caller, origin) = match bearer {
            Bearer::Nobody => (Self::nobody(), None),
            Bearer::Operator => (Self::alone(Actor::Operator, Authority::Everything), None),
            Bearer::Key { key, line, people } => (Self::with_key(key, line, people, now)?, Some(line)),
            Bearer::Session { session, line, person } => {
                session.check_usable(now)?;
                check_active(line.effective_status())?;
                (Self::person(person, line.account().id), Some(line))
            }
        };
        let origins = origin.filter(|_| !rules.is_empty()).into_iter().cloned().collect();
        let caller = Self { rules, origins, ..caller };
        match assume {
            Some(assume) if caller.subject != Some(assume.id) => caller.assume(assume),
            _ => Ok(caller),
        }
    }

    fn alone(actor: Actor, authority: Authority) -> Self {
        Self {
            actor,
            subject: None,
            on_behalf: false,
            people: Vec::new(),
            authority,
            roams: false,
            ceiling: PermissionSet::ALL,
            narrowing: None,
            networks: None,
            limits: CallLimits::NONE,
            rules: Rules::default(),
            origins: Vec::new(),
        }
    }

    /// Somebody without a credential.
    #[must_use]
    pub fn nobody() -> Self {
        Self::alone(Actor::Nobody, Authority::Nothing)
    }

    /// Somebody whose identity was proven, acting as a member of `account`.
    #[must_use]
    pub fn person(person: Person, account: AccountId) -> Self {
        Self {
            actor: Actor::User { user: person.user, account },
            subject: Some(account),
            people: vec![person],
            roams: true,
            ..Self::alone(Actor::Nobody, Authority::People(None))
        }
    }

    fn with_key(key: &Key, line: &Lineage, people: Vec<Person>, now: Timestamp) -> Result<Self, Refusal> {
        key.check_usable(now)?;
        // A key dies with the last right that one of its people has here.
        if people.iter().any(|person| person.rights_over(line).is_empty()) {
            return Err(Code::KeyRevoked.into());
        }
        check_active(line.effective_status())?;
        let account = line.account();
        let authority =
            if people.is_empty() { Authority::Account(account.id) } else { Authority::People(Some(account.id)) };
        let personal = account.kind == Kind::Personal && people.len() == 1;
        let user = if personal { people.first().map(|person| person.user) } else { key.user_id };
        Ok(Self {
            actor: Actor::Key { key: key.id, account: account.id, user },
            subject: Some(account.id),
            people,
            roams: personal,
            ceiling: key.scopes(),
            narrowing: key.scopes,
            networks: key.networks.clone(),
            limits: key.limits,
            ..Self::alone(Actor::Nobody, authority)
        })
    }

    fn assume(mut self, assume: Assume<'_>) -> Result<Self, Refusal> {
        // Unknown, foreign, above and beside are all the same answer: nothing is learned from it.
        let forbidden = || Refusal::from(Code::AssumeForbidden);
        let line = assume.line.ok_or_else(forbidden)?;
        let rights = if self.roams {
            self.of_people(line).and(self.ceiling).without(self.taken_away(line))
        } else {
            self.rights_over(line)
        };
        // A key has to be scoped for acting as another account, whatever its owner is there.
        let is_member = self.roams
            && self.ceiling.holds(Permission::AccountAssume)
            && self.people.iter().all(|person| person.membership_on(assume.id).is_some());
        if !(is_member || rights.holds(Permission::AccountAssume)) || line.effective_status() != Status::Active {
            return Err(forbidden());
        }
        if !self.rules.is_empty() {
            self.origins.push(line.clone());
        }
        Ok(Self {
            actor: self.actor_facing(line),
            subject: Some(assume.id),
            on_behalf: !is_member,
            authority: Authority::Account(assume.id),
            roams: false,
            ceiling: rights,
            ..self
        })
    }

    /// A person acts as a member of the account on the line through which they stand closest to its end.
    fn actor_facing(&self, line: &Lineage) -> Actor {
        match (self.actor, self.people.first().and_then(|person| person.standing(line))) {
            (Actor::User { user, .. }, Some(account)) => Actor::User { user, account },
            (actor, _) => actor,
        }
    }

    /// The same caller, turned to the account that `target` leads to: a person who acts for nobody else acts there as
    /// the member of it, or of an account above it, that they are.
    #[must_use]
    pub fn facing(self, target: &Lineage) -> Self {
        if self.authority != Authority::People(None) {
            return self;
        }
        let actor = self.actor_facing(target);
        Self { actor, subject: actor.account(), ..self }
    }

    /// Whether the caller is the operator, acting for no account.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.authority == Authority::Everything
    }

    /// From where the key that was used may be used, if it says.
    #[must_use]
    pub const fn networks(&self) -> Option<&Networks> {
        self.networks.as_ref()
    }

    /// What the calls of the key that was used are limited to.
    #[must_use]
    pub const fn limits(&self) -> CallLimits {
        self.limits
    }

    /// The scopes of the credential, if it has any.
    #[must_use]
    pub const fn narrowing(&self) -> Option<PermissionSet> {
        self.narrowing
    }

    /// The person who has to answer for what the caller makes: keys, for instance.
    #[must_use]
    pub fn maker(&self) -> Option<UserId> {
        self.people.last().map(|person| person.user)
    }

    /// The membership on `account` of the person who calls, if they are a member and act for themselves or for it.
    #[must_use]
    pub fn own_membership(&self, account: AccountId) -> Option<&Membership> {
        let user = self.actor.user()?;
        let acts_there = match self.authority {
            Authority::People(within) => self.roams || within == Some(account),
            Authority::Account(subject) => subject == account,
            Authority::Nothing | Authority::Everything => false,
        };
        let own = self.people.iter().find(|person| person.user == user)?;
        own.membership_on(account).filter(|_| acts_there)
    }

    /// The memberships of the person who calls, wherever they are; empty if it is no person, or acting for an account.
    #[must_use]
    pub fn roaming_user(&self) -> Option<UserId> {
        if self.roams && self.authority == Authority::People(None) { self.actor.user() } else { None }
    }

    fn of_people(&self, target: &Lineage) -> PermissionSet {
        self.people.iter().fold(PermissionSet::ALL, |rights, person| rights.and(person.rights_over(target)))
    }

    /// What the caller may do over the account that `target` leads to. Nothing: it is invisible.
    #[must_use]
    pub fn rights_over(&self, target: &Lineage) -> PermissionSet {
        self.reach(target).and(self.ceiling).without(self.taken_away(target))
    }

    /// The same without what narrows it: scopes and restrictions.
    fn reach(&self, target: &Lineage) -> PermissionSet {
        match self.authority {
            Authority::Nothing => PermissionSet::NONE,
            Authority::Everything => PermissionSet::ALL,
            Authority::Account(home) => of_account(home, target),
            Authority::People(None) => self.of_people(target),
            Authority::People(Some(home)) => of_account(home, target).and(self.of_people(target)),
        }
    }

    /// Whether the caller may see that the account exists.
    #[must_use]
    pub fn sees(&self, target: &Lineage) -> bool {
        !self.reach(target).is_empty()
    }

    /// Where the caller has `permission` over the account from, or all that keeps it away.
    ///
    /// # Errors
    /// The barriers: none of them is there without need, and without all of them the permission is held.
    pub fn explain(&self, target: &Lineage, permission: Permission) -> Result<Source, Vec<Barrier>> {
        let mut barriers = Vec::new();
        if !self.ceiling.holds(permission) {
            barriers.push(Barrier::Narrowed);
        }
        let mut source = Source::Operator;
        match self.authority {
            Authority::Nothing => barriers.push(Barrier::Anonymous),
            Authority::Everything => (),
            Authority::Account(home) => {
                source = Source::Account(home);
                barriers.extend(keep_account_out(home, target, permission));
            }
            Authority::People(within) => {
                barriers.extend(within.map(|home| keep_account_out(home, target, permission)).unwrap_or_default());
                for person in &self.people {
                    match person.explain(target, permission) {
                        Ok(grant) if person.user == self.people.first().map_or(person.user, |first| first.user) => {
                            let (role, account) = (grant.role.name.clone(), grant.account);
                            source = Source::Role { user: person.user, role, account };
                        }
                        Ok(_) => (),
                        Err(Lack::NoRole) => barriers.push(Barrier::NoRole(person.user)),
                        Err(Lack::SwitchedOff(accounts)) => {
                            barriers.extend(accounts.into_iter().map(Barrier::SwitchedOff));
                        }
                    }
                }
            }
        }
        let restricting = self.restrictions_over(target).filter(|rule| rule.takes_away().holds(permission));
        barriers.extend(restricting.map(|rule| Barrier::Restricted(rule.id, rule.account_id)));
        let mut seen = Vec::new();
        barriers.retain(|barrier| {
            !seen.contains(barrier) && {
                seen.push(barrier.clone());
                true
            }
        });
        if barriers.is_empty() { Ok(source) } else { Err(barriers) }
    }

    /// Whether the caller holds `permission` over the account that `target` leads to.
    ///
    /// # Errors
    /// `not_found` if the account is invisible to the caller; `account_suspended` or `account_closed` for a person who
    /// acts as a member of such an account; else `permission_denied`, with what stands in the way.
    pub fn check(&self, target: &Lineage, permission: Permission) -> Result<(), Refusal> {
        self.check_seen(target)?;
        if self.rights_over(target).holds(permission) {
            return Ok(());
        }
        let barriers = self.explain(target, permission).err().unwrap_or_default();
        let why: String = barriers.iter().map(|barrier| format!(" {}", self.told(barrier, target))).collect();
        let id = target.account().id;
        Err(Refusal::new(Code::PermissionDenied, format!("This needs `{permission}` on {id}.{why}")))
    }

    /// Whether the caller may know that the account exists, and the account as a member of which they act is active.
    ///
    /// # Errors
    /// `not_found`, `account_suspended`, `account_closed`.
    pub fn check_seen(&self, target: &Lineage) -> Result<(), Refusal> {
        if !self.sees(target) {
            return Err(Code::NotFound.into());
        }
        match self.actor {
            Actor::User { account, .. } => target.status_of(account).map_or(Ok(()), check_active),
            _ => Ok(()),
        }
    }

    /// Whether the caller is the operator.
    ///
    /// # Errors
    /// `operator_only`.
    pub fn check_operator(&self) -> Result<(), Refusal> {
        if self.is_operator() { Ok(()) } else { Err(Code::OperatorOnly.into()) }
    }
}

/// Whether somebody who acts for an account with this effective status is let in.
///
/// # Errors
/// `account_suspended`, `account_closed`.
pub fn check_active(status: Status) -> Result<(), Refusal> {
    match status {
        Status::Active => Ok(()),
        Status::Suspended => Err(Code::AccountSuspended.into()),
        Status::Closed => Err(Code::AccountClosed.into()),
    }
}

/// What an account may do over itself and over the accounts below it.
fn of_account(home: AccountId, target: &Lineage) -> PermissionSet {
    let Some(mut between) = target.below(home) else { return PermissionSet::NONE };
    if between.all(|account| account.inherits.admins) { OF_ACCOUNT } else { SHUT_OUT }
}

/// What keeps an account from a permission over another.
fn keep_account_out(home: AccountId, target: &Lineage, permission: Permission) -> Vec<Barrier> {
    match target.below(home) {
        None => vec![Barrier::Outside(home)],
        Some(_) if SHUT_OUT.holds(permission) => Vec::new(),
        Some(between) => {
            let switched_off = |account: &&Account| !account.inherits.admins;
            between.filter(switched_off).map(|account| Barrier::SwitchedOff(account.id)).collect()
        }
    }
}

#[cfg(test)]
mod tests;
