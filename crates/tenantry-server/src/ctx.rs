//! A request: who is calling, when, for whom, and how it wants to be treated.
//!
//! `Ctx` is the first parameter of every handler and use case. Its doors ([`Ctx::read`],
//! [`Ctx::write`]) authorize with the permission that the route's row names.

use std::net::IpAddr;

use axum::body::Bytes;
use axum::extract::{Extension, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::Serialize;
use tenantry_core::access::{Bearer, Caller, Rules};
use tenantry_core::event::{Event, Revision};
use tenantry_core::id::{AccountId, RequestId};
use tenantry_core::permission::Permission;
use tenantry_core::refusal::Code;
use tenantry_core::snapshot::{Denial, Presented, Request};
use tenantry_core::{Refusal, Timestamp};
use tenantry_gateway::verdict;
use tenantry_store::CatalogueWrite;
use tenantry_store::record::{Answer, Idempotency};
use tenantry_store::root::{OperatorRead, RootWrite};
use tenantry_store::tenant::{Access, Credential, Identity, Route, TenantRead, TenantWrite, Visit};

use crate::credential::{self, AWAY_COOKIE, DEVICE_COOKIE};
use crate::input;
use crate::problem::{Error, Result};
use crate::reply::{Prepared, Reply, etag, headers};
use crate::route::Need;
use crate::seal::{Sealer, sha256, sha256_parts};
use crate::server::hex;
use crate::state::{App, Claim};

/// What the edge knows about every request.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) request: RequestId,
    pub(crate) now: Timestamp,
    pub(crate) ip: Option<IpAddr>,
    /// What is called, as rules name it.
    pub(crate) called: Option<Route>,
}

/// The body of a request that has one, read as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Payload(pub(crate) Bytes);

/// A transaction that changes something: of an account, of the catalogue, or one that makes a tree.
pub(crate) trait Change: Send {
    fn commit(
        self,
        event: &Event,
        answer: Option<Answer>,
    ) -> impl Future<Output = tenantry_store::Result<Vec<Revision>>> + Send;
    fn abandon(self) -> impl Future<Output = tenantry_store::Result<()>> + Send;
}

macro_rules! changes {
    ($($transaction:ident)*) => {$(
        impl Change for $transaction {
            async fn commit(self, event: &Event, answer: Option<Answer>) -> tenantry_store::Result<Vec<Revision>> {
                Self::commit(self, event, answer).await
            }
            async fn abandon(self) -> tenantry_store::Result<()> {
                Self::abandon(self).await
            }
        }
    )*};
}

changes! { TenantWrite RootWrite CatalogueWrite }

/// A request.
pub struct Ctx {
    /// What all requests share.
    pub(crate) app: App,
    /// When the request is judged.
    pub(crate) now: Timestamp,
    visit: Visit,
    need: Need,
    /// Whether a browser added the credential by itself.
    by_cookie: bool,
    /// What a browser shows in which somebody signed in before.
    device: Option<String>,
    away: Option<String>,
    user_agent: Option<String>,
    dry_run: bool,
    if_match: Option<String>,
    /// What the answer has to know of at least.
    known: Vec<Revision>,
    sealer: Option<Sealer>,
    /// Keeps repetitions out while this request is being answered.
    _claim: Option<Claim>,
}

impl FromRequestParts<App> for Ctx {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let missing = || Error::internal("the route is not wired through the edge");
        let Extension(arrival) = parts.extensions.get::<Arrival>().cloned().map(Extension).ok_or_else(missing)?;
        let need = *parts.extensions.get::<Need>().ok_or_else(missing)?;
        let writes = !parts.method.is_safe();
        let open = matches!(need, Need::Anyone | Need::AnyoneOrPerson);
        let presented = if need == Need::Anyone { None } else { credential::presented(&parts.headers)? };
        if presented.is_none() && !open {
            return Err(Code::CredentialMissing.into());
        }
        let by_cookie = presented.as_ref().is_some_and(|presented| presented.by_cookie);
        // Where nothing is presented a cookie may be set: nobody else's page may do that, either.
        if writes && (by_cookie || presented.is_none()) {
            credential::check_site(parts, &app.config.public_url)?;
        }
        let visit = Visit {
            credential: match &presented {
                Some(presented) => credential::parse(&presented.text, app)?,
                None => Credential::Nobody,
            },
            assume: if open { None } else { assume(&parts.headers)? },
            reason: reason(&parts.headers)?,
            now: arrival.now,
            request: arrival.request,
            audit: app.chance.id(arrival.now),
            ip: arrival.ip,
            route: arrival.called,
            idempotency: None,
        };
        let mut ctx = Self {
            app: app.clone(),
            now: visit.now,
            visit,
            need,
            by_cookie,
            device: credential::cookie(&parts.headers, DEVICE_COOKIE).map(str::to_owned),
            away: credential::cookie(&parts.headers, AWAY_COOKIE).map(str::to_owned),
            user_agent: user_agent(&parts.headers),
            dry_run: writes && dry_run(parts)?,
            if_match: single(&parts.headers, header::IF_MATCH.as_str(), Code::IfMatchInvalid)?,
            known: known(&parts.headers)?,
            sealer: None,
            _claim: None,
        };
        if open && ctx.dry_run {
            return Err(Refusal::at(Code::InvalidParameter, "dryRun", "is not for who is not signed in").into());
        }
        // Asking whether a call may happen changes nothing.
        if writes && need != Need::Decider {
            let payload = parts.extensions.get::<Payload>().ok_or_else(missing)?;
            let text = presented.map_or_else(|| hex(&sha256(&payload.0)), |presented| presented.text);
            ctx.prepare_write(parts, &text, payload).await?;
        }
        Ok(ctx)
    }
}

impl Ctx {
    /// Asks who is calling before the writer is queued for, and whether this is the repetition of a request. `text` is the
    /// credential; of somebody without one, the hash of what they sent.
    async fn prepare_write(&mut self, parts: &Parts, text: &str, payload: &Payload) -> Result<()> {
        let (app, visit) = (&self.app, &mut self.visit);
        let repeated = idempotency_key(&parts.headers)?;
        // Unknown callers are turned away here, on a reader: they never get to the writer's lock. A kept answer
        // is given before the door asks who is calling, so then it is always asked here.
        let caller = sha256_parts(&[text.as_bytes(), format!("{:?}", visit.assume).as_bytes()]);
        let known = visit.credential == Credential::Nobody || app.was_let_in(caller, visit.now);
        if repeated.is_some() || !known {
            app.store.identify(visit).await?;
            app.note_let_in(caller, visit.now);
        }
        if let Some(idempotency_key) = repeated {
            let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
            let id = sha256_parts(&[text.as_bytes(), idempotency_key.as_bytes()]);
            let assumed = visit.assume.map(|id| id.to_string()).unwrap_or_default();
            let request =
                sha256_parts(&[parts.method.as_str().as_bytes(), target.as_bytes(), assumed.as_bytes(), &payload.0]);
            self._claim = Some(app.claim(id).ok_or(Code::IdempotencyInFlight)?);
            visit.idempotency = Some(Idempotency { id, request });
            self.sealer = Some(Sealer::new(text, &idempotency_key));
            // The door asks as well, under the lock. But on the way there, what the first request did may look like a reason
            // to refuse the second: its token was used up, its user is there already.
            if let Some(kept) = app.store.answer_kept(visit).await? {
                return Err(self.answered(tenantry_store::Error::Answered(kept)));
            }
        }
        Ok(())
    }

    /// The operator acting on the server itself, not over HTTP.
    pub(crate) fn operator(app: &App) -> Self {
        Self::local(app, Credential::Operator, Need::Operator)
    }

    /// Somebody without a credential, on the server itself.
    pub(crate) fn nobody(app: &App) -> Self {
        Self::local(app, Credential::Nobody, Need::Anyone)
    }

    fn local(app: &App, credential: Credential, need: Need) -> Self {
        let now = app.clock.now();
        let visit = Visit {
            credential,
            assume: None,
            reason: None,
            now,
            request: app.chance.id(now),
            audit: app.chance.id(now),
            ip: None,
            route: None,
            idempotency: None,
        };
        Self {
            app: app.clone(),
            now,
            visit,
            need,
            by_cookie: false,
            device: None,
            away: None,
            user_agent: None,
            dry_run: false,
            if_match: None,
            known: Vec::new(),
            sealer: None,
            _claim: None,
        }
    }

    fn access(&self) -> Result<Access> {
        Ok(match self.need {
            Need::Holding(permission) => Access::Holding(permission),
            Need::HoldingOrOwn(permission) => Access::HoldingOrOwn(permission),
            Need::Member => Access::Member,
            Need::Person | Need::FreshPerson => Access::Person,
            Need::Operator => Access::Operator,
            Need::Anyone | Need::AnyoneOrPerson | Need::OperatorOrPerson | Need::Decider => {
                return Err(Error::internal("this route has doors of its own"));
            }
        })
    }

    /// What is known of the request, for the named doors of the store.
    pub(crate) fn visit(&self) -> &Visit {
        &self.visit
    }

    /// The client address.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.visit.ip
    }

    /// What the client calls itself.
    pub(crate) fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// What a browser shows in which somebody signed in before.
    pub(crate) fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// With what state the browser left for an identity provider.
    pub(crate) fn away(&self) -> Option<&str> {
        self.away.as_deref()
    }

    /// Who is calling, where the route lets in people and others.
    pub(crate) async fn identity(&self) -> Result<Identity> {
        Ok(self.app.store.identify(&self.visit).await?)
    }

    /// A browser sends its cookies by itself: acting on behalf of others with them takes a reason and a fresh proof.
    fn check_entered(&self, identity: &Identity) -> Result<()> {
        self.app.note_use(identity, self.now, self.visit.ip);
        let Some(session) = &identity.session else { return Ok(()) };
        if self.need == Need::FreshPerson {
            session.check_fresh(self.now)?;
        }
        if self.by_cookie && identity.caller.on_behalf {
            if self.visit.reason.is_none() {
                return Err(Code::ReasonRequired.into());
            }
            session.check_fresh(self.now)?;
        }
        Ok(())
    }

    /// Opens account `at` for reading.
    pub(crate) async fn read(&self, at: AccountId) -> Result<TenantRead> {
        self.open(Some(at)).await
    }

    /// Opens the account that the caller acts for, for reading.
    pub(crate) async fn read_own(&self) -> Result<TenantRead> {
        self.open(None).await
    }

    async fn open(&self, at: Option<AccountId>) -> Result<TenantRead> {
        let tx = self.app.store.read(&self.visit, at, self.access()?).await?;
        self.check_entered(tx.identity())?;
        Ok(tx)
    }

    /// Whether the caller may read account `at`.
    pub(crate) async fn may_read(&self, at: AccountId) -> bool {
        let opened = self.app.store.read(&self.visit, Some(at), Access::Holding(Permission::AccountRead)).await;
        opened.is_ok()
    }

    /// Opens account `at` for writing.
    pub(crate) async fn write(&self, at: AccountId) -> Result<TenantWrite> {
        self.open_for_writing(at, None).await
    }

    /// Opens account `at` for writing, together with the account `other`.
    pub(crate) async fn write_both(&self, at: AccountId, other: AccountId) -> Result<TenantWrite> {
        self.open_for_writing(at, Some(other)).await
    }

    async fn open_for_writing(&self, at: AccountId, other: Option<AccountId>) -> Result<TenantWrite> {
        let opened = self.app.store.write(&self.visit, at, other, self.access()?).await;
        let tx = opened.map_err(|error| self.answered(error))?;
        self.check_entered(tx.identity())?;
        Ok(tx)
    }

    /// Opens the personal account of who is signed in, for writing.
    pub(crate) async fn write_own(&self) -> Result<TenantWrite> {
        let identity = self.identity().await?;
        let own = identity.caller.roaming_user().and(identity.caller.subject);
        self.write(own.ok_or(Code::SessionRequired)?).await
    }

    /// Opens all trees for reading, if the caller is the operator acting for nobody.
    pub(crate) async fn read_everything(&self) -> Result<Option<OperatorRead>> {
        if self.visit.credential != Credential::Operator || self.visit.assume.is_some() {
            return Ok(None);
        }
        Ok(Some(self.app.store.read_everything(&self.visit).await?))
    }

    /// Opens a transaction that makes a tree.
    pub(crate) async fn write_root(&self, root: &tenantry_core::account::Account) -> Result<RootWrite> {
        self.app.store.write_root(&self.visit, root).await.map_err(|error| self.answered(error))
    }

    /// Who the operator is, for answers that no tenant transaction stands behind.
    pub(crate) fn operator_identity(&self) -> Result<Identity> {
        let caller = Caller::admit(Bearer::Operator, None, Rules::default(), self.now)?;
        Ok(Identity { caller, key: None, session: None })
    }

    /// What the store said; an answer that was kept is given again.
    pub(crate) fn answered(&self, error: tenantry_store::Error) -> Error {
        let (tenantry_store::Error::Answered(kept), Some(sealer)) = (&error, &self.sealer) else { return error.into() };
        let opened = sealer
            .open(&kept.answer.sealed)
            .and_then(|json| serde_json::from_slice::<Prepared>(&json).map_err(Error::internal));
        match opened {
            Ok(prepared) => {
                let prepared = prepared.with(headers::REVISION, &kept.revision).with(headers::REPLAYED, "true");
                Error::Ready(Box::new(prepared))
            }
            Err(error) => error,
        }
    }

    /// Whether nothing is to be changed.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Checks `If-Match` against the present version.
    pub(crate) fn check_version(&self, version: i64) -> Result<()> {
        match self.if_match.as_deref() {
            None | Some("*") => Ok(()),
            Some(tag) if tag == etag(version) => Ok(()),
            Some(tag) if tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"') => Err(Code::VersionStale.into()),
            Some(_) => Err(Code::IfMatchInvalid.into()),
        }
    }

    /// Ends a reading transaction with an answer.
    pub(crate) async fn answer<T, const S: u16>(&self, tx: TenantRead, body: T) -> Result<Reply<T, S>> {
        let reply = Reply::new(tx.identity(), body);
        tx.finish().await?;
        Ok(reply)
    }

    /// Ends a writing transaction that turned out to change nothing.
    pub(crate) async fn unchanged<T, const S: u16>(&self, tx: TenantWrite, body: T) -> Result<Reply<T, S>> {
        let reply = Reply::new(tx.identity(), body);
        tx.abandon().await?;
        Ok(reply)
    }

    /// Commits a change with its records, and answers once the data plane has it; a dry run rolls back and tells what would
    /// have been.
    pub(crate) async fn commit<T: Serialize, const S: u16>(
        &self,
        tx: impl Change,
        event: Event,
        reply: Reply<T, S>,
    ) -> Result<Reply<T, S>> {
        if self.dry_run {
            tx.abandon().await?;
            return Err(dry_run_answer(&event, &reply));
        }
        let revisions = tx.commit(&event, self.kept(&reply)?).await?;
        if !self.app.plane.reach(&revisions).await {
            tracing::warn!("the data plane is behind what was committed");
        }
        Ok(reply.revised(&revisions))
    }

    /// Opens the catalogue for writing.
    pub(crate) async fn write_catalogue(&self) -> Result<CatalogueWrite> {
        self.app.store.write_catalogue(&self.visit).await.map_err(|error| self.answered(error))
    }

    /// Who is calling, if it is the operator acting for nobody or somebody who is signed in.
    pub(crate) async fn operator_or_person(&self) -> Result<Identity> {
        let identity = self.identity().await?;
        let may = identity.caller.is_operator() || identity.session.is_some();
        if may { Ok(identity) } else { Err(Code::OperatorOnly.into()) }
    }

    /// Which account is asking, if it is one with a key that the operator gave the scope `decide`; `None` is the operator, acting
    /// for nobody. Asks the snapshot and not the database, as whoever asks about every call has to be answered at once.
    pub(crate) async fn decider(&self) -> Result<Option<AccountId>> {
        let presented = match self.visit.credential {
            Credential::Operator if self.visit.assume.is_none() => return Ok(None),
            Credential::Key { hash } if self.visit.assume.is_none() => Presented::Hash(hash),
            _ => {
                // They may not, whoever they are. Who is nobody is told so first, as everywhere.
                self.identity().await?;
                return Err(only_deciders());
            }
        };
        let called = self.visit.route.as_ref().ok_or(Code::RouteUnknown)?;
        let request = Request {
            presented,
            assume: None,
            address: self.visit.ip,
            method: called.method,
            target: &called.path,
            resource: None,
            now: self.now,
        };
        match self.app.plane.snapshot().may_ask(&request) {
            Ok(account) => Ok(Some(account)),
            Err(Denial { code: Code::PermissionDenied, rule: None }) => Err(only_deciders()),
            Err(denial) => Err(verdict::refusal(&denial).into()),
        }
    }

    /// Waits until decisions know of what the client says it knows of.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        if self.app.plane.reach(&self.known).await { Ok(()) } else { Err(Code::RevisionUnreached.into()) }
    }

    fn kept<T: Serialize, const S: u16>(&self, reply: &Reply<T, S>) -> Result<Option<Answer>> {
        let Some(sealer) = &self.sealer else { return Ok(None) };
        let json = serde_json::to_vec(&reply.prepare()?).map_err(Error::internal)?;
        Ok(Some(Answer { status: S, sealed: sealer.seal(&json, &self.app.chance)? }))
    }
}

fn only_deciders() -> Error {
    Refusal::new(Code::PermissionDenied, "This needs the operator token, or a key with the scope `decide`.").into()
}

fn dry_run_answer<T: Serialize, const S: u16>(event: &Event, reply: &Reply<T, S>) -> Error {
    let told = || {
        let body = tenantry_api::DryRun {
            dry_run: true,
            action: event.kind.to_string(),
            changes: serde_json::from_str(event.detail.as_json())?,
            result: serde_json::to_value(&reply.body)?,
        };
        Ok::<_, serde_json::Error>(body)
    };
    match told().map_err(Error::internal).and_then(|body| Prepared::json(200, &body)) {
        Ok(prepared) => Error::Ready(Box::new(prepared)),
        Err(error) => error,
    }
}

fn assume(headers: &HeaderMap) -> Result<Option<AccountId>> {
    match single(headers, headers::ASSUME, Code::AssumeMalformed)? {
        Some(id) => Ok(Some(id.parse().map_err(|_| Refusal::from(Code::AssumeMalformed))?)),
        None => Ok(None),
    }
}

/// Why somebody acts on behalf of another: 1 to 200 characters.
fn reason(headers: &HeaderMap) -> Result<Option<String>> {
    let text = single(headers, headers::ASSUME_REASON, Code::AssumeMalformed)?;
    Ok(text.map(|text| input::name(headers::ASSUME_REASON, &text)).transpose()?)
}

/// What the client calls itself, cut to what a person would read.
fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(200).collect())
}

/// The revisions that a client got in `X-Tenantry-Rev`, of a change that it wants to be heeded.
fn known(headers: &HeaderMap) -> Result<Vec<Revision>> {
    let text = single(headers, headers::MIN_REVISION, Code::InvalidParameter)?;
    let revisions = text.iter().flat_map(|text| text.split(',')).map(|revision| revision.trim().parse());
    let takes = "takes what an earlier answer said in `X-Tenantry-Rev`";
    Ok(revisions
        .collect::<Result<_, _>>()
        .map_err(|_| Refusal::at(Code::InvalidParameter, headers::MIN_REVISION, takes))?)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let key = single(headers, headers::IDEMPOTENCY_KEY, Code::IdempotencyKeyInvalid)?;
    match key {
        Some(key) if key.len() > 255 || !key.bytes().all(|b| b.is_ascii_graphic()) => {
            Err(Code::IdempotencyKeyInvalid.into())
        }
        other => Ok(other),
    }
}

/// A header that may stand once; empty is as good as absent.
pub(crate) fn single(headers: &HeaderMap, name: &str, malformed: Code) -> Result<Option<String>> {
    Ok(tenantry_gateway::headers::single(headers, name, malformed)?.map(str::to_owned))
}

fn dry_run(parts: &Parts) -> Result<bool> {
    match parts.uri.query().unwrap_or_default() {
        "" | "dryRun=false" => Ok(false),
        "dryRun=true" => Ok(true),
        _ => {
            Err(Refusal::at(Code::InvalidParameter, "dryRun", "is the only parameter here, and takes true or false")
                .into())
        }
    }
}
