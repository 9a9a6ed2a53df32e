//! May this call happen? The steps of the design, in their order; the first that fails decides.
//!
//! Rate and concurrency limits are not asked here: they are about other calls, too, of which a snapshot knows nothing. It says which
//! limits apply.
//!
//! Where a call is allowed nothing is allocated and no lock is taken: the snapshot is immutable, the line of ancestors is on the
//! stack, and rules are asked where they are.

use std::hint::black_box;
use std::net::IpAddr;

use super::limited::Limited;
use super::line::{ASSUME, Line, Who};
use super::pages::hash_of;
use super::{Credential, Human, Number, Snapshot, first_segment};
use crate::access::check_active;
use crate::account::Status;
use crate::allowlist::Allowlist;
use crate::catalogue::Found;
use crate::feature::Feature;
use crate::id::{AccountId, KeyId, UserId};
use crate::limit::{Holder, Kind};
use crate::method::Method;
use crate::path::CanonicalPath;
use crate::permission::PermissionSet;
use crate::refusal::Code;
use crate::restriction::{Call, Restriction};
use crate::time::Timestamp;

/// A credential, as far as it can be told from its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// It has not the form or the checksum of a key.
    Malformed,
    /// The SHA-256 of its text.
    Hash([u8; 32]),
    /// Not presented at all: somebody who may know of the key asks about it.
    Named(KeyId),
}

/// A call that somebody wants to make.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What they present.
    pub presented: Presented,
    /// The account that they want to act for, if they name one.
    pub assume: Option<AccountId>,
    /// Where they come from; `None` is in no network.
    pub address: Option<IpAddr>,
    /// How.
    pub method: Method,
    /// The path as it was sent, which may be followed by a query.
    pub target: &'a str,
    /// Kind and name of a resource that the call is about, if it is not named in the path.
    pub resource: Option<(&'a str, &'a str)>,
    /// When.
    pub now: Timestamp,
}

/// The answer, and whom it is about as far as that is known.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    /// The account of the key.
    pub actor: Option<AccountId>,
    /// The key.
    pub key: Option<KeyId>,
    /// The person whose key it is.
    pub user: Option<UserId>,
    /// The account on whose behalf.
    pub subject: Option<AccountId>,
    /// What is called.
    pub found: Option<Found<'a>>,
    /// Whether it may happen, limits aside.
    pub outcome: Result<(), Denial<'a>>,
    /// Where its limits are: see [`Snapshot::limits`].
    pub(super) limited: Limited,
}

/// Why a call may not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial<'a> {
    /// The step that failed, as the reason that callers are told.
    pub code: Code,
    /// What decided, if it was something that somebody set.
    pub rule: Option<Rule<'a>>,
}

/// Something that somebody set and that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule<'a> {
    /// A restriction.
    Restriction(&'a Restriction),
    /// An IP allow-list.
    Allowlist(&'a Allowlist),
    /// The networks of the key.
    KeyNetworks(KeyId),
    /// A feature that this account does not have.
    Feature(AccountId, &'a str),
    /// A limit that is used up.
    Limit(Holder, Kind),
}

impl Rule<'_> {
    /// The account that holds it, if it is an account's.
    #[must_use]
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Restriction(rule) => Some(rule.account_id),
            Self::Allowlist(list) => Some(list.account_id),
            Self::KeyNetworks(_) | Self::Limit(Holder::Key(_), _) => None,
            Self::Feature(account, _) | Self::Limit(Holder::Account(account), _) => Some(*account),
        }
    }
}

impl<'a> From<Code> for Denial<'a> {
    fn from(code: Code) -> Self {
        Self { code, rule: None }
    }
}

pub(super) fn ruled<'a>(code: Code, rule: Rule<'a>) -> Denial<'a> {
    Denial { code, rule: Some(rule) }
}

type Passed<'a, T = ()> = Result<T, Denial<'a>>;

impl Snapshot {
    /// Whether the call may happen, and what decides.
    #[must_use]
    pub fn decide<'a>(&'a self, request: &Request<'a>) -> Decision<'a> {
        let mut decision = Decision {
            actor: None,
            key: None,
            user: None,
            subject: None,
            found: None,
            outcome: Ok(()),
            limited: Limited::NOWHERE,
        };
        decision.outcome = self.judge(request, &mut decision);
        decision
    }

    fn judge<'a>(&'a self, request: &Request<'a>, decision: &mut Decision<'a>) -> Passed<'a> {
        let who = self.authenticate(request)?;
        let own = who.own.account();
        (decision.actor, decision.subject, decision.key) = (own, own, Some(who.key.id));
        decision.user = self.people.get(who.key.user).map(|human| human.id);
        check_active(Self::status(&who.own)).map_err(|refusal| refusal.code)?;

        let assumed = match request.assume.filter(|id| Some(*id) != own) {
            None => None,
            Some(id) => {
                let assumed = self.assume(&who, id)?;
                decision.subject = Some(id);
                Some(assumed)
            }
        };
        let (who, line) = assumed.as_ref().map_or((&who, &who.own), |(who, line)| (who, line));
        let path = CanonicalPath::parse(request.target).map_err(|_| Code::PathInvalid)?;
        let found = self.catalogue.find(request.method, &path).ok_or(Code::EndpointUnknown)?;
        decision.found = Some(found);
        self.check_address(who, line, found.api.id.as_str(), request.address)?;
        self.check_permission(who, line, found)?;
        let below = path.below(found.api.base_path.len());
        let call = Call { api: &found.api.id, method: request.method, path: &below };
        let first = first_segment(below.segments().next().unwrap_or_default());
        if let Some(rule) =
            self.restrictions(who, line, |ruled| ruled.forbids & first != 0, |rule| rule.forbids(&call)).next()
        {
            return Err(ruled(Code::EndpointRestricted, Rule::Restriction(rule)));
        }
        self.check_features(line, found)?;
        self.check_resources(line, found, &below, request.resource)?;
        decision.limited = Limited::new(who.key, line);
        Ok(())
    }

    /// Steps 1 to 3: the key, and the people behind it.
    pub(super) fn authenticate<'a>(&'a self, request: &Request<'_>) -> Passed<'a, Who<'a>> {
        if request.presented == Presented::Malformed {
            return Err(Code::KeyMalformed.into());
        }
        let key = self.key(request).ok_or(Code::KeyUnknown)?;
        if key.revoked {
            return Err(Code::KeyRevoked.into());
        }
        if key.expires_at <= request.now {
            return Err(Code::KeyExpired.into());
        }
        // People and accounts are in different places: memory is asked for both before either is waited for.
        let people = [key.user, key.maker].map(|number| self.people.get(number));
        black_box(people.map(|human| human.map(|human| human.held.len())));
        let own = self.line(key.account);
        // A key dies with the last right that one of its people has here.
        let mut own_rights = PermissionSet::ALL;
        for human in people.iter().flatten() {
            let rights = self.rights_of_person(human, &own);
            if rights.is_empty() {
                return Err(Code::KeyRevoked.into());
            }
            own_rights = own_rights.and(rights);
        }
        Ok(Who { key, people, home: key.account, ceiling: key.scopes, own, own_rights })
    }

    fn key(&self, request: &Request<'_>) -> Option<&Credential> {
        let number = match request.presented {
            Presented::Malformed => None,
            Presented::Hash(hash) => {
                let is = |number| self.keys.get(number).is_some_and(|key| key.hash == hash);
                self.key_numbers.find(hash_of(&hash), is)
            }
            Presented::Named(id) => self.key_by_id(id),
        };
        self.keys.get(number?)
    }

    /// The key that was presented, if it is neither revoked nor expired.
    pub(super) fn usable_key(&self, request: &Request<'_>) -> Option<&Credential> {
        self.key(request).filter(|key| !key.revoked && key.expires_at > request.now)
    }

    /// The one person whose personal account's key this is: it goes wherever they are a member.
    pub(super) fn roaming_person<'a>(&self, who: &Who<'a>) -> Option<&'a Human> {
        let ([Some(person), None] | [None, Some(person)]) = who.people else { return None };
        who.own.nodes().next().is_some_and(|node| node.is_personal).then_some(person)
    }

    /// Whether somebody behind the key is a member of the account.
    pub(super) fn is_member(&self, who: &Who<'_>, account: Number) -> bool {
        who.people.into_iter().flatten().any(|human| human.held.as_slice().iter().any(|held| held.account == account))
    }

    /// Step 5: who acts once they act for another account, and that account's line.
    pub(super) fn assume<'a>(&'a self, who: &Who<'a>, id: AccountId) -> Passed<'a, (Who<'a>, Line<'a>)> {
        let number = self.account_number(id).ok_or(Code::AssumeForbidden)?;
        let line = self.line(number);
        let roams = self.roaming_person(who).is_some();
        let rights = self.rights(who, &line, roams);
        let may = rights.holds(ASSUME) || (roams && self.is_member(who, number) && who.ceiling.holds(ASSUME));
        if !may || Self::status(&line) != Status::Active {
            return Err(Code::AssumeForbidden.into());
        }
        Ok((Who { home: number, ceiling: rights, ..*who }, line))
    }

    /// Step 8: the permission of the endpoint.
    pub(super) fn check_permission<'a>(&'a self, who: &Who<'a>, line: &Line<'a>, found: Found<'a>) -> Passed<'a> {
        let rights =
            if who.home == who.own.end() { self.rights(who, line, false) } else { self.rights_assumed(who, line) };
        if rights.holds(found.endpoint.permission) { Ok(()) } else { Err(self.who_took(who, line, found)) }
    }

    /// Step 7: the address is in every list that applies, on the side of the key and on that of the subject.
    pub(super) fn check_address<'a>(
        &'a self,
        who: &Who<'a>,
        line: &Line<'a>,
        api: &str,
        address: Option<IpAddr>,
    ) -> Passed<'a> {
        if let Some(networks) = self.networks.get(who.key.networks)
            && !address.is_some_and(|address| networks.contain(address))
        {
            return Err(ruled(Code::IpNotAllowed, Rule::KeyNetworks(who.key.id)));
        }
        let assumed = (who.home != who.own.end()).then_some(line);
        for line in [Some(&who.own), assumed].into_iter().flatten() {
            for (place, rules) in self.lists_on(line) {
                let mut applying = rules.allowlists.iter().filter(|list| list.applies(api, place > 0));
                if let Some(list) = applying.find(|list| !list.admits(address)) {
                    return Err(ruled(Code::IpNotAllowed, Rule::Allowlist(list)));
                }
            }
        }
        Ok(())
    }

    /// Why a permission is not held: a restriction takes it away, or nothing gives it.
    fn who_took<'a>(&'a self, who: &Who<'a>, line: &Line<'a>, found: Found<'a>) -> Denial<'a> {
        let takes = |rule: &Restriction| rule.takes_away().holds(found.endpoint.permission);
        let rule = self.restrictions(who, line, |_| true, takes).next().map(Rule::Restriction);
        Denial { code: Code::PermissionDenied, rule }
    }

    /// Step 10, features: an account has no more than its parent has.
    pub(super) fn check_features<'a>(&'a self, line: &Line<'_>, found: Found<'a>) -> Passed<'a> {
        let Some(name) = found.endpoint.feature.as_deref() else { return Ok(()) };
        for node in line.nodes() {
            let own = self.features.get(node.features).and_then(|features| features.get(name));
            if own.is_none_or(|own| matches!(own, Feature::UpTo(most) if *most < 1)) {
                return Err(ruled(Code::FeatureMissing, Rule::Feature(node.id, name)));
            }
        }
        Ok(())
    }

    /// Step 10, resources: what the call names is the subject's own, or shared with it by an account above.
    fn check_resources<'a>(
        &'a self,
        line: &Line<'_>,
        found: Found<'a>,
        path: &CanonicalPath<'_>,
        named: Option<(&str, &str)>,
    ) -> Passed<'a> {
        let in_path = found.endpoint.resource.as_ref();
        let in_path = in_path
            .map(|named| (named.kind.as_str(), found.endpoint.path.named(&named.variable, path).unwrap_or_default()));
        for (kind, name) in [named, in_path].into_iter().flatten() {
            if !self.has_resource(line, kind, name) {
                return Err(Code::ResourceNotShared.into());
            }
        }
        Ok(())
    }

    pub(super) fn has_resource(&self, line: &Line<'_>, kind: &str, name: &str) -> bool {
        let Some(subject) = line.account() else { return false };
        line.nodes().any(|owner| {
            self.resource_of(owner.id, kind, name).is_some_and(|resource| {
                owner.id == subject || resource.shared_with.iter().any(|to| *to == subject || *to == owner.id)
            })
        })
    }
}
