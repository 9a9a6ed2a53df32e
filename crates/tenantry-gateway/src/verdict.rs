//! Whether a call may happen, by the snapshot in memory, as whoever waits in front of an API wants to know it.

use std::net::IpAddr;

use ring::digest::{SHA256, digest};
use tenantry_core::catalogue::Settle;
use tenantry_core::id::{AccountId, EndpointId, KeyId, UserId};
use tenantry_core::method::Method;
use tenantry_core::refusal::{Code, Kind};
use tenantry_core::snapshot::{Decision, Denial, Presented, Request, Rule, Snapshot};
use tenantry_core::time::{Monotonic, Span};
use tenantry_core::usage::Line;
use tenantry_core::{Refusal, Timestamp, secret};

use crate::limits::{Admitted, Exceeded, Fields, Limiter, Report};

/// A call as somebody asks about it: texts that may be anything.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The text of the key.
    pub key: &'a str,
    /// The account to act for, if one is named.
    pub assume: Option<&'a str>,
    /// Where the client is; `None` is in no network.
    pub address: Option<IpAddr>,
    /// The method.
    pub method: &'a str,
    /// The path, which may be followed by a query.
    pub target: &'a str,
    /// Kind and name of a resource that the call is about, if the path does not name it.
    pub resource: Option<(&'a str, &'a str)>,
}

/// A credential by its text.
#[must_use]
pub fn presented(text: &str) -> Presented {
    match secret::label_of(text) {
        Ok(_) => {
            let hash = digest(&SHA256, text.as_bytes());
            hash.as_ref().try_into().map_or(Presented::Malformed, Presented::Hash)
        }
        Err(_) => Presented::Malformed,
    }
}

/// What is asked of the snapshot, and what it cannot be asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The question.
    pub request: Request<'a>,
    /// Whether the account to act for is no id.
    pub assume_malformed: bool,
    /// Whether the method is none that an endpoint can have.
    pub method_unknown: bool,
}

impl<'a> Question<'a> {
    /// Makes a question of a call.
    #[must_use]
    pub fn of(call: &Call<'a>, now: Timestamp) -> Self {
        let assume = call.assume.map(str::trim).filter(|id| !id.is_empty()).map(str::parse).transpose();
        let method = call.method.parse::<Method>().ok();
        let request = Request {
            presented: presented(call.key),
            assume: assume.as_ref().ok().copied().flatten(),
            address: call.address,
            method: method.unwrap_or(Method::Get),
            target: call.target,
            resource: call.resource,
            now,
        };
        Self { request, assume_malformed: assume.is_err(), method_unknown: method.is_none() }
    }

    /// Whether it is no call at all, whatever is changed.
    #[must_use]
    pub const fn is_no_call(&self) -> bool {
        self.assume_malformed || self.method_unknown
    }

    /// The decision.
    #[must_use]
    pub fn decide(&self, snapshot: &'a Snapshot) -> Decision<'a> {
        let mut decision = snapshot.decide(&self.request);
        // Who is not authenticated learns nothing else.
        let unknown = matches!(decision.outcome, Err(Denial { code, .. }) if code.kind() == Kind::Unauthenticated);
        if !unknown && self.assume_malformed {
            decision.outcome = Err(Code::AssumeMalformed.into());
        } else if decision.outcome.is_ok() && self.method_unknown {
            decision.outcome = Err(Code::EndpointUnknown.into());
        }
        decision
    }
}

/// A denial as the caller is told. Which rule it was they learn by its id alone: whose it is, their own administrators can see.
#[must_use]
pub fn refusal(denial: &Denial<'_>) -> Refusal {
    let code = denial.code;
    match denial.rule.as_ref().map(name_of) {
        Some((kind, id)) => Refusal::new(code, format!("{} ({kind} {id}).", code.title())),
        None => Refusal::new(code, format!("{}.", code.title())),
    }
}

/// What kind of rule it is, and its id.
#[must_use]
pub fn name_of(rule: &Rule<'_>) -> (&'static str, String) {
    match rule {
        Rule::Restriction(own) => ("restriction", own.id.to_string()),
        Rule::Allowlist(own) => ("ipAllowlist", own.id.to_string()),
        Rule::KeyNetworks(key) => ("keyNetworks", key.to_string()),
        Rule::Feature(_, name) => ("feature", (*name).to_owned()),
        Rule::Limit(holder, kind) => (kind.as_str(), holder.to_string()),
    }
}

/// A call that may happen: who makes it, and what it is. It stands for itself, since a call may last longer than a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// For whom, with all accounts above, at the time of the decision.
    pub line: Line,
    /// The account of the key.
    pub actor: AccountId,
    /// Whose key it is, if it is a person's.
    pub user: Option<UserId>,
    /// The key.
    pub key: KeyId,
    /// The API.
    pub api: String,
    /// Where the API is, if not at the upstream of the deployment.
    pub upstream: Option<String>,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// What the call costs, in credits.
    pub cost: i64,
    /// Which answers cost it.
    pub settle: Settle,
}

impl Allowed {
    /// For whom.
    #[must_use]
    pub const fn subject(&self) -> AccountId {
        self.line.subject()
    }

    /// What a decision that allows says.
    ///
    /// # Errors
    /// The refusal, if it denies.
    fn by(snapshot: &Snapshot, decision: &Decision<'_>) -> Result<Self, Refusal> {
        if let Err(denial) = &decision.outcome {
            return Err(refusal(denial));
        }
        let line = decision.subject.and_then(|subject| snapshot.line_of(subject));
        let (Some(line), Some(actor), Some(key), Some(found)) = (line, decision.actor, decision.key, decision.found)
        else {
            return Err(Code::Internal.into());
        };
        Ok(Self {
            line,
            actor,
            user: decision.user,
            key,
            api: found.api.id.clone(),
            upstream: found.api.upstream.clone(),
            endpoint: found.endpoint.id,
            cost: found.endpoint.cost,
            settle: found.endpoint.settle,
        })
    }
}

/// Why a call may not happen, as the caller is told.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The reason.
    pub refusal: Refusal,
    /// What is told about limits, if there are any.
    pub limits: Option<Fields>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, limits: None }
    }
}

impl From<Code> for Refused {
    fn from(code: Code) -> Self {
        Refusal::from(code).into()
    }
}

impl From<Exceeded> for Refused {
    fn from(exceeded: Exceeded) -> Self {
        let seconds = i64::try_from(exceeded.deciding().seconds()).unwrap_or(i64::MAX);
        let refusal = Refusal { wait: Some(Span::seconds(seconds)), ..refusal(&exceeded.denial()) };
        Self { refusal, limits: exceeded.report.fields() }
    }
}

/// Judges calls at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// What is known.
    pub snapshot: &'a Snapshot,
    /// What was counted.
    pub limiter: &'a Limiter,
    /// When it is.
    pub now: Timestamp,
    /// The same by a clock that nobody sets.
    pub monotonic: Monotonic,
}

impl<'a> Judge<'a> {
    /// Lets a call through that counts until what is answered beside it is dropped.
    ///
    /// # Errors
    /// Why it may not happen.
    pub fn admit(&self, call: &Call<'a>) -> Result<(Allowed, Admitted), Refused> {
        let decision = Question::of(call, self.now).decide(self.snapshot);
        let allowed = Allowed::by(self.snapshot, &decision)?;
        let admitted = self.limiter.admit(self.snapshot.limits(&decision), self.monotonic)?;
        Ok((allowed, admitted))
    }

    /// Lets a call begin of whose end nobody will tell.
    ///
    /// # Errors
    /// Why it may not happen.
    pub fn begin(&self, call: &Call<'a>) -> Result<(Allowed, Report), Refused> {
        let decision = Question::of(call, self.now).decide(self.snapshot);
        let allowed = Allowed::by(self.snapshot, &decision)?;
        let report = self.limiter.take(self.snapshot.limits(&decision), self.monotonic)?;
        Ok((allowed, report))
    }
}
