//! What would have to be different for a call to pass the step that denied it.
//!
//! The changes that are named belong together: with all of them the step lets the call through, and without them it does not.
//! A later step may still deny it. Explaining allocates and takes its time; deciding does neither.

use super::decide::{Denial, Request};
use super::line::{ASSUME, Line, Who};
use super::{Number, Snapshot};
use crate::account::Status;
use crate::allowlist::Allowlist;
use crate::catalogue::Found;
use crate::feature::Feature;
use crate::id::{AccountId, AllowlistId, KeyId, RestrictionId, UserId};
use crate::path::CanonicalPath;
use crate::permission::Permission;
use crate::refusal::Code;
use crate::restriction::{Call, Restriction};
use crate::rights::{OF_ACCOUNT, SHUT_OUT};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// Another key has to be used: this one will never do.
    AnotherKey,
    /// Another account has to be acted for.
    AnotherSubject,
    /// Something else has to be called.
    AnotherCall,
    /// The call has to come from somewhere else.
    AnotherAddress,
    /// The account has to be activated.
    Activate(AccountId),
    /// Somebody has to have a role on an account that holds a permission.
    GiveRole(UserId, AccountId, Permission),
    /// The account has to inherit administrators.
    InheritAdmins(AccountId),
    /// A key with the permission among its scopes has to be used instead of this one.
    WidenScopes(KeyId, Permission),
    /// The address has to be in this list.
    AddAddress(AllowlistId, AccountId),
    /// This restriction has to be lifted, or changed.
    Lift(RestrictionId, AccountId),
    /// The account has to be assigned a feature.
    AssignFeature(AccountId, String),
    /// The account has to own a resource, or be given it by one above: by kind and name.
    ShareResource(AccountId, String, String),
}

/// Where the call stood when it was denied.
struct Stand<'a> {
    who: Who<'a>,
    line: Line<'a>,
}

impl Snapshot {
    /// What would let a denied call through the step that denied it; nothing if it is allowed.
    #[must_use]
    pub fn fixes(&self, request: &Request<'_>) -> Vec<Fix> {
        let mut fixes: Vec<Fix> = Vec::new();
        for fix in self.all_fixes(request) {
            if !fixes.contains(&fix) {
                fixes.push(fix);
            }
        }
        fixes
    }

    fn all_fixes(&self, request: &Request<'_>) -> Vec<Fix> {
        let decision = self.decide(request);
        let Err(Denial { code, .. }) = decision.outcome else { return Vec::new() };
        let Ok(who) = self.authenticate(request) else { return self.fix_key(request) };
        let assumed = request.assume.filter(|id| who.own.account() != Some(*id));
        match (code, assumed) {
            (Code::AccountSuspended | Code::AccountClosed, _) => Self::fix_status(&who.own, Fix::AnotherKey),
            (Code::AssumeForbidden, Some(id)) => self.fix_assume(&who, id),
            (Code::PathInvalid | Code::EndpointUnknown, _) => vec![Fix::AnotherCall],
            (_, assumed) => {
                let stand = match assumed.map(|id| self.assume(&who, id)) {
                    None => Some((who, who.own)),
                    Some(assumed) => assumed.ok(),
                };
                let (Some((acting, line)), Some(found)) = (stand, decision.found) else {
                    return vec![Fix::AnotherCall];
                };
                self.fix_call(code, &who, &Stand { who: acting, line }, found, request)
            }
        }
    }

    /// A key that is gone is gone; one whose people are, comes back with them.
    fn fix_key(&self, request: &Request<'_>) -> Vec<Fix> {
        let Some(key) = self.usable_key(request) else { return vec![Fix::AnotherKey] };
        let own = self.line(key.account);
        let Some(account) = self.node(key.account).map(|node| node.id) else { return vec![Fix::AnotherKey] };
        let people = [key.user, key.maker].into_iter().filter_map(|number| self.people.get(number));
        let gone = people.filter(|human| self.rights_of_person(human, &own).is_empty());
        gone.map(|human| Fix::GiveRole(human.id, account, Permission::AccountRead)).collect()
    }

    /// What is closed stays closed.
    fn fix_status(line: &Line<'_>, otherwise: Fix) -> Vec<Fix> {
        let nodes = || line.nodes();
        if nodes().any(|node| node.status == Status::Closed) {
            return vec![otherwise];
        }
        nodes().filter(|node| node.status == Status::Suspended).map(|node| Fix::Activate(node.id)).collect()
    }

    fn fix_assume<'s>(&'s self, who: &Who<'s>, id: AccountId) -> Vec<Fix> {
        let Some(number) = self.account_number(id) else { return vec![Fix::AnotherSubject] };
        let line = self.line(number);
        let mut fixes = Vec::new();
        if Self::status(&line) != Status::Active {
            fixes.extend(Self::fix_status(&line, Fix::AnotherSubject));
        }
        let roams = self.roaming_person(who).is_some();
        match roams && self.is_member(who, number) {
            // A member has to be scoped for it, and no more.
            true if who.ceiling.holds(ASSUME) => (),
            true => fixes.push(Fix::WidenScopes(who.key.id, ASSUME)),
            false if self.rights(who, &line, roams).holds(ASSUME) => (),
            false => fixes.extend(self.fix_rights(who, &line, ASSUME, roams)),
        }
        fixes
    }

    /// What gives a permission over the end of a line to a key that assumes nothing.
    fn fix_rights<'s>(&'s self, who: &Who<'s>, line: &Line<'s>, permission: Permission, roams: bool) -> Vec<Fix> {
        let mut fixes = Vec::new();
        if !who.ceiling.holds(permission) {
            fixes.push(Fix::WidenScopes(who.key.id, permission));
        }
        if !roams {
            fixes.extend(Self::fix_reach(who.home, line, permission));
        }
        let account = line.account();
        let people = who.people.into_iter().flatten();
        for human in people.filter(|human| !self.rights_of_person(human, line).holds(permission)) {
            fixes.extend(account.map(|account| Fix::GiveRole(human.id, account, permission)));
        }
        fixes.extend(self.fix_restrictions(who, line, |rule| rule.takes_away().holds(permission)));
        fixes
    }

    /// What lets an account reach the end of a line with a permission.
    fn fix_reach(home: Number, line: &Line<'_>, permission: Permission) -> Vec<Fix> {
        let Some(above) = line.place(home) else { return vec![Fix::AnotherSubject] };
        if !OF_ACCOUNT.holds(permission) {
            return vec![Fix::AnotherCall];
        }
        if SHUT_OUT.holds(permission) {
            return Vec::new();
        }
        let between = line.nodes().take(above);
        between.filter(|node| !node.inherits_admins).map(|node| Fix::InheritAdmins(node.id)).collect()
    }

    fn fix_restrictions<'s>(
        &'s self,
        who: &Who<'s>,
        line: &Line<'s>,
        wanted: impl Fn(&Restriction) -> bool + Copy,
    ) -> Vec<Fix> {
        self.restrictions(who, line, |_| true, wanted).map(|rule| Fix::Lift(rule.id, rule.account_id)).collect()
    }

    /// The steps that are about what is called.
    fn fix_call<'s>(
        &'s self,
        code: Code,
        before: &Who<'s>,
        stand: &Stand<'s>,
        found: Found<'_>,
        request: &Request<'_>,
    ) -> Vec<Fix> {
        let Stand { who, line } = stand;
        let Ok(path) = CanonicalPath::parse(request.target) else { return vec![Fix::AnotherCall] };
        let below = path.below(found.api.base_path.len());
        match code {
            Code::IpNotAllowed => self.fix_address(who, line, found, request),
            Code::PermissionDenied => self.fix_permission(before, stand, found.endpoint.permission),
            Code::EndpointRestricted => {
                let call = Call { api: &found.api.id, method: request.method, path: &below };
                self.fix_restrictions(who, line, |rule| rule.forbids(&call))
            }
            Code::FeatureMissing => self.fix_features(line, found),
            Code::ResourceNotShared => self.fix_resources(line, found, &below, request),
            _ => vec![Fix::AnotherCall],
        }
    }

    fn fix_address<'s>(&'s self, who: &Who<'s>, line: &Line<'s>, found: Found<'_>, request: &Request<'_>) -> Vec<Fix> {
        // The networks of a key never change, and an address that cannot be read is in no list.
        let Some(address) = request.address else { return vec![Fix::AnotherAddress] };
        if self.networks.get(who.key.networks).is_some_and(|own| !own.contain(address)) {
            return vec![Fix::AnotherAddress];
        }
        let assumed = (who.home != who.own.end()).then_some(line);
        let mut fixes = Vec::new();
        for line in [Some(&who.own), assumed].into_iter().flatten() {
            for (place, rules) in self.lists_on(line) {
                let missing =
                    |list: &&Allowlist| list.applies(&found.api.id, place > 0) && !list.admits(request.address);
                let missing = rules.allowlists.iter().filter(missing);
                fixes.extend(missing.map(|list| Fix::AddAddress(list.id, list.account_id)));
            }
        }
        fixes
    }

    /// Who acts for another account needs the permission over it before, and as that account.
    fn fix_permission<'s>(&'s self, before: &Who<'s>, stand: &Stand<'s>, permission: Permission) -> Vec<Fix> {
        let roams = stand.who.home != before.home && self.roaming_person(before).is_some();
        let mut fixes = self.fix_rights(before, &stand.line, permission, roams);
        if stand.who.home != before.home {
            let taking = |rule: &Restriction| rule.takes_away().holds(permission);
            fixes.extend(self.fix_restrictions(&stand.who, &stand.line, taking));
        }
        fixes
    }

    fn fix_features(&self, line: &Line<'_>, found: Found<'_>) -> Vec<Fix> {
        let Some(name) = found.endpoint.feature.as_deref() else { return Vec::new() };
        let missing = line.nodes().filter(|node| {
            let own = self.features.get(node.features).and_then(|features| features.get(name));
            own.is_none_or(|own| matches!(own, Feature::UpTo(most) if *most < 1))
        });
        missing.map(|node| Fix::AssignFeature(node.id, name.to_owned())).collect()
    }

    fn fix_resources(
        &self,
        line: &Line<'_>,
        found: Found<'_>,
        path: &CanonicalPath<'_>,
        request: &Request<'_>,
    ) -> Vec<Fix> {
        let Some(subject) = line.account() else { return Vec::new() };
        let in_path = found.endpoint.resource.as_ref();
        let in_path = in_path
            .map(|named| (named.kind.as_str(), found.endpoint.path.named(&named.variable, path).unwrap_or_default()));
        let named = [request.resource, in_path].into_iter().flatten();
        let missing = named.filter(|(kind, name)| !self.has_resource(line, kind, name));
        missing.map(|(kind, name)| Fix::ShareResource(subject, kind.to_owned(), name.to_owned())).collect()
    }
}
