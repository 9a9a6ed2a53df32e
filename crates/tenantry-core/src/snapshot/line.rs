//! Accounts with their ancestors, and what keys may do over them.
//!
//! The rules are those of [`crate::rights`] and [`crate::access`], over numbers instead of records; what a restriction says and
//! whom it binds is asked of [`crate::restriction`] itself. Nothing here allocates.

use super::{Credential, Human, NONE, Node, Number, Snapshot, Worth};
use crate::account::{MAX_DEPTH, Status};
use crate::id::{AccountId, KeyId, UserId};
use crate::permission::{Permission, PermissionSet};
use crate::restriction::{Restriction, Standing};
use crate::rights::{OF_ACCOUNT, SHUT_OUT};
use crate::role::{BuiltIn, RoleRef};

const LONGEST: usize = MAX_DEPTH as usize;

/// An account and all above it, the account itself first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    numbers: [Number; LONGEST],
    len: usize,
}

impl Line {
    pub(super) fn iter(&self) -> impl Iterator<Item = Number> + Clone {
        self.numbers.into_iter().take(self.len)
    }

    pub(super) fn end(&self) -> Number {
        self.numbers.first().copied().unwrap_or(NONE)
    }

    /// How far above the end an account is.
    pub(super) fn place(&self, account: Number) -> Option<usize> {
        self.iter().position(|number| number == account)
    }

    /// The line of an account that is this far above the end.
    fn from(&self, place: usize) -> impl Iterator<Item = Number> + Clone {
        self.iter().skip(place)
    }
}

/// Who acts: the key, the people behind it, and the account for which it acts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who<'a> {
    pub(super) key: &'a Credential,
    pub(super) people: [Option<&'a Human>; 2],
    /// The account of the key, or the one assumed.
    pub(super) home: Number,
    /// What may be done at most.
    pub(super) ceiling: PermissionSet,
    /// The line of the account of the key.
    pub(super) own: Line,
}

impl<'a> Who<'a> {
    fn people(&self) -> impl Iterator<Item = &'a Human> + Clone {
        self.people.into_iter().flatten()
    }
}

impl Snapshot {
    pub(super) fn node(&self, number: Number) -> Option<&Node> {
        self.accounts.get(number)
    }

    pub(super) fn line(&self, account: Number) -> Line {
        let (mut numbers, mut len, mut next) = ([NONE; LONGEST], 0, account);
        while let (Some(node), Some(place)) = (self.node(next), numbers.get_mut(len)) {
            *place = next;
            len += 1;
            next = node.parent;
        }
        Line { numbers, len }
    }

    pub(super) fn status(&self, line: &Line) -> Status {
        let statuses = line.iter().filter_map(|number| self.node(number)).map(|node| node.status);
        let worst = statuses.clone().skip(1).find(|status| *status != Status::Active);
        let own = statuses.into_iter().next().unwrap_or(Status::Closed);
        own.below(worst.unwrap_or(Status::Active))
    }

    /// Whether an account at `place` of a line, and all between it and the account at `above`, inherit administrators.
    fn inherits(&self, line: &Line, place: usize, above: usize) -> bool {
        let between = line.from(place).take(above.saturating_sub(place));
        between.filter_map(|number| self.node(number)).all(|node| node.inherits_admins)
    }

    /// What an account may do over the end of a line.
    pub(super) fn rights_of_account(&self, home: Number, line: &Line) -> PermissionSet {
        match line.place(home) {
            None => PermissionSet::NONE,
            Some(above) if self.inherits(line, 0, above) => OF_ACCOUNT,
            Some(_) => SHUT_OUT,
        }
    }

    /// The role that somebody holds on an account at `place` of a line, if it counts there.
    fn role_at(&self, human: &Human, line: &Line, place: usize) -> Option<&Worth> {
        let account = line.from(place).next()?;
        let held = human.held.binary_search_by_key(&account, |held| held.account).ok();
        let role = self.roles.get(held.and_then(|held| human.held.get(held))?.role)?;
        let counts = role.home == NONE || line.from(place).any(|number| number == role.home);
        counts.then_some(role)
    }

    /// What somebody may do over the end of a line.
    pub(super) fn rights_of_person(&self, human: &Human, line: &Line) -> PermissionSet {
        let (mut rights, mut inherits) = (PermissionSet::NONE, true);
        for (place, number) in line.iter().enumerate() {
            if let Some(role) = self.role_at(human, line, place) {
                let held = if place == 0 { role.own } else { role.inherited };
                rights = rights.or(if inherits { held } else { held.and(SHUT_OUT) });
            }
            inherits &= self.node(number).is_some_and(|node| node.inherits_admins);
        }
        rights
    }

    fn of_people(&self, who: &Who<'_>, line: &Line) -> PermissionSet {
        who.people().fold(PermissionSet::ALL, |rights, human| rights.and(self.rights_of_person(human, line)))
    }

    /// What a key may do over the end of a line, before it assumes anything: as its account, or wherever its one person is.
    pub(super) fn rights(&self, who: &Who<'_>, line: &Line, roams: bool) -> PermissionSet {
        let reach = if roams { PermissionSet::ALL } else { self.rights_of_account(who.home, line) };
        reach.and(self.of_people(who, line)).and(who.ceiling).without(self.taken_away(who, line))
    }

    /// The same once it has assumed an account, whose people are not asked any more.
    pub(super) fn rights_assumed(&self, who: &Who<'_>, line: &Line) -> PermissionSet {
        self.rights_of_account(who.home, line).and(who.ceiling).without(self.taken_away(who, line))
    }

    fn taken_away(&self, who: &Who<'_>, line: &Line) -> PermissionSet {
        let mut taken = PermissionSet::NONE;
        self.find_restriction(who, line, |rule| {
            taken = taken.or(rule.takes_away());
            false
        });
        taken
    }

    /// The first restriction that binds who turns to the end of a line, and that `is` wanted. Those of the account that the
    /// key belongs to go along wherever it turns.
    pub(super) fn find_restriction(
        &self,
        who: &Who<'_>,
        line: &Line,
        mut is: impl FnMut(&Restriction) -> bool,
    ) -> Option<&Restriction> {
        if line.place(who.own.end()).is_none()
            && let Some(found) = self.find_on(who, &who.own, &mut is)
        {
            return Some(found);
        }
        self.find_on(who, line, &mut is)
    }

    fn find_on(&self, who: &Who<'_>, line: &Line, is: &mut impl FnMut(&Restriction) -> bool) -> Option<&Restriction> {
        // The highest account first, as on a line of records.
        (0..line.len).rev().find_map(|place| {
            let node = self.node(line.from(place).next()?)?;
            let rules = self.rules.get(node.rules)?;
            let seen = Seen { snapshot: self, who, line, place };
            let binds = |rule: &&Restriction| rule.counts(|id| seen.is_above(id)) && rule.binds(&seen);
            rules.restrictions.iter().filter(binds).find(|rule| is(rule))
        })
    }
}

/// Who acts, seen from the account at `place` of a line.
struct Seen<'a> {
    snapshot: &'a Snapshot,
    who: &'a Who<'a>,
    line: &'a Line,
    place: usize,
}

impl Seen<'_> {
    fn is_above(&self, id: AccountId) -> bool {
        let is = |number| self.snapshot.node(number).is_some_and(|node| node.id == id);
        self.line.from(self.place).any(is)
    }

    fn is_admin(&self, human: &Human) -> bool {
        let admin = |place: usize| {
            let role = self.snapshot.role_at(human, self.line, place);
            role.is_some_and(|role| role.which == RoleRef::BuiltIn(BuiltIn::Admin))
        };
        (self.place..self.line.len).any(|above| admin(above) && self.snapshot.inherits(self.line, self.place, above))
    }
}

impl Standing for Seen<'_> {
    fn is_admin(&self) -> bool {
        let mut people = self.who.people().peekable();
        if people.peek().is_some() {
            return people.all(|human| self.is_admin(human));
        }
        // The account itself administers what is below it, but is bound by what it says about itself.
        self.line
            .place(self.who.home)
            .is_some_and(|above| above > self.place && self.snapshot.inherits(self.line, self.place, above))
    }

    fn acts_from(&self, imposer: AccountId) -> bool {
        let is = |number| self.snapshot.node(number).is_some_and(|node| node.id == imposer);
        let imposer = self.line.iter().position(is);
        imposer.is_some_and(|imposer| self.line.place(self.who.home).is_some_and(|home| home >= imposer))
    }

    fn has_role(&self, which: RoleRef) -> bool {
        let holds = |human: &Human| {
            human.held.iter().any(|held| {
                self.snapshot.roles.get(held.role).is_some_and(|role| role.which == which)
                    && self.line.place(held.account).is_some()
            })
        };
        self.who.people().any(holds)
    }

    fn is_user(&self, user: UserId) -> bool {
        self.who.people().any(|human| human.id == user)
    }

    fn is_key(&self, key: KeyId) -> bool {
        self.who.key.id == key
    }
}

/// The permission that lets somebody act for another account.
pub(super) const ASSUME: Permission = Permission::AccountAssume;
