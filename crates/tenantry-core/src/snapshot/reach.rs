//! What a key can do: every endpoint of the catalogue, with whether it may be called. And whether a key may ask such questions.

use super::decide::{Denial, Request, Rule};
use super::line::{Line, Who};
use super::{Snapshot, decide};
use crate::access::check_active;
use crate::catalogue::Found;
use crate::id::AccountId;
use crate::path::CanonicalPath;
use crate::permission::Permission;
use crate::refusal::Code;
use crate::restriction::{CONTROL_API, Call, Part};

/// Whether an endpoint can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It can.
    All,
    /// It depends on the path: a restriction forbids some of them, or a resource has to be named that is there.
    Some(Option<Rule<'a>>),
    /// It cannot.
    None(Denial<'a>),
}

/// An endpoint, and whether it can be called.
#[derive(Debug, Clone, Copy)]
pub struct Reached<'a> {
    /// The endpoint.
    pub found: Found<'a>,
    /// Whether it can be called.
    pub verdict: Verdict<'a>,
}

impl Snapshot {
    /// What the key can do that is presented, for the account that is to be assumed. Method, path and address of the request
    /// are not looked at: IP allow-lists may still stand against a call.
    ///
    /// # Errors
    /// Why it can do nothing at all.
    pub fn reach<'a>(&'a self, request: &Request<'_>) -> Result<Vec<Reached<'a>>, Denial<'a>> {
        let who = self.active(request)?;
        let assumed = match request.assume.filter(|id| Some(*id) != who.own.account()) {
            None => None,
            Some(id) => Some(self.assume(&who, id)?),
        };
        let (who, line) = assumed.as_ref().map_or((&who, &who.own), |(who, line)| (who, line));
        let reached = |found| Reached { found, verdict: self.verdict(who, line, found) };
        Ok(self.catalogue.endpoints().map(reached).collect())
    }

    fn verdict<'a>(&'a self, who: &Who<'a>, line: &Line<'a>, found: Found<'a>) -> Verdict<'a> {
        if let Err(denial) = self.check_permission(who, line, found) {
            return Verdict::None(denial);
        }
        let endpoint = found.endpoint;
        let part =
            |rule: &crate::restriction::Restriction| rule.forbids_of(&found.api.id, endpoint.method, &endpoint.path);
        let forbidding = |wanted: Part| self.restrictions(who, line, |_| true, move |rule| part(rule) == wanted).next();
        if let Some(rule) = forbidding(Part::All) {
            return Verdict::None(decide::ruled(Code::EndpointRestricted, Rule::Restriction(rule)));
        }
        if let Err(denial) = self.check_features(line, found) {
            return Verdict::None(denial);
        }
        match forbidding(Part::Some) {
            Some(rule) => Verdict::Some(Some(Rule::Restriction(rule))),
            None if endpoint.resource.is_some() => Verdict::Some(None),
            None => Verdict::All,
        }
    }

    /// Whether a key may ask about calls of others: it holds the scope `decide`, which nobody has who was not given it by name.
    /// The request is the question itself, a call of the control plane. Answers the account of the key.
    ///
    /// # Errors
    /// Why it may not.
    pub fn may_ask<'a>(&'a self, request: &Request<'a>) -> Result<AccountId, Denial<'a>> {
        let who = self.active(request)?;
        self.check_address(&who, &who.own, CONTROL_API, request.address)?;
        let path = CanonicalPath::parse(request.target).map_err(|_| Code::PathInvalid)?;
        let call = Call { api: CONTROL_API, method: request.method, path: &path };
        if let Some(rule) = self.restrictions(&who, &who.own, |_| true, |rule| rule.forbids(&call)).next() {
            return Err(decide::ruled(Code::EndpointRestricted, Rule::Restriction(rule)));
        }
        match who.own.account() {
            Some(account) if who.ceiling.holds(Permission::Decide) => Ok(account),
            _ => Err(Code::PermissionDenied.into()),
        }
    }

    /// Steps 1 to 4.
    fn active<'a>(&'a self, request: &Request<'_>) -> Result<Who<'a>, Denial<'a>> {
        let who = self.authenticate(request)?;
        check_active(Self::status(&who.own)).map_err(|refusal| refusal.code)?;
        Ok(who)
    }
}
