//! A request: who is calling, when, for whom, and how it wants to be treated.
//!
//! `Ctx` is the first parameter of every handler and use case. Its doors ([`Ctx::read`],
//! [`Ctx::write`]) authorize with the permission that the route's row names.

use axum::body::Bytes;
use axum::extract::{Extension, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::Serialize;
use tenantry_core::event::Event;
use tenantry_core::id::{AccountId, RequestId};
use tenantry_core::refusal::Code;
use tenantry_core::{Refusal, Timestamp, key};
use tenantry_store::operator::{OperatorRead, OperatorWrite};
use tenantry_store::record::{Answer, Idempotency};
use tenantry_store::tenant::{Access, Credential, Identity, TenantRead, TenantWrite, Visit};

use crate::problem::{Error, Result};
use crate::reply::{Prepared, Reply, etag, headers};
use crate::route::Need;
use crate::seal::{Sealer, sha256, sha256_parts};
use crate::state::{App, Claim};

/// What the edge knows about every request.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) request: RequestId,
    pub(crate) now: Timestamp,
    pub(crate) ip: Option<String>,
}

/// The body of a request that has one, read as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Payload(pub(crate) Bytes);

/// A request.
pub struct Ctx {
    /// What all requests share.
    pub(crate) app: App,
    /// When the request is judged.
    pub(crate) now: Timestamp,
    visit: Visit,
    need: Need,
    dry_run: bool,
    if_match: Option<String>,
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
        let text = credential_text(&parts.headers)?;
        let mut visit = Visit {
            credential: credential(&text, app)?,
            assume: assume(&parts.headers)?,
            now: arrival.now,
            request: arrival.request,
            audit: app.chance.id(arrival.now),
            ip: arrival.ip,
            idempotency: None,
        };
        let mut ctx_sealer = None;
        let mut claim = None;
        if writes {
            let repeated = idempotency_key(&parts.headers)?;
            // Unknown callers are turned away here, on a reader: they never get to the writer's lock. A kept answer
            // is given before the door asks who is calling, so then it is always asked here.
            let caller = sha256_parts(&[text.as_bytes(), format!("{:?}", visit.assume).as_bytes()]);
            if repeated.is_some() || !app.was_let_in(caller, visit.now) {
                app.store.identify(&visit).await?;
                app.note_let_in(caller, visit.now);
            }
            if let Some(idempotency_key) = repeated {
                let payload = parts.extensions.get::<Payload>().ok_or_else(missing)?;
                let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
                let id = sha256_parts(&[text.as_bytes(), idempotency_key.as_bytes()]);
                let assumed = visit.assume.map(|id| id.to_string()).unwrap_or_default();
                let request = sha256_parts(&[
                    parts.method.as_str().as_bytes(),
                    target.as_bytes(),
                    assumed.as_bytes(),
                    &payload.0,
                ]);
                claim = Some(app.claim(id).ok_or(Code::IdempotencyInFlight)?);
                visit.idempotency = Some(Idempotency { id, request });
                ctx_sealer = Some(Sealer::new(&text, &idempotency_key));
            }
        }
        Ok(Self {
            app: app.clone(),
            now: visit.now,
            visit,
            need,
            dry_run: writes && dry_run(parts)?,
            if_match: single(&parts.headers, header::IF_MATCH.as_str(), Code::IfMatchInvalid)?,
            sealer: ctx_sealer,
            _claim: claim,
        })
    }
}

impl Ctx {
    /// The operator acting on the server itself, not over HTTP.
    pub(crate) fn operator(app: &App) -> Self {
        let now = app.clock.now();
        let visit = Visit {
            credential: Credential::Operator,
            assume: None,
            now,
            request: app.chance.id(now),
            audit: app.chance.id(now),
            ip: None,
            idempotency: None,
        };
        Self {
            app: app.clone(),
            now,
            visit,
            need: Need::Operator,
            dry_run: false,
            if_match: None,
            sealer: None,
            _claim: None,
        }
    }

    fn access(&self) -> Access {
        match self.need {
            Need::Holding(permission) => Access::Holding(permission),
            Need::Operator => Access::Operator,
        }
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
        let tx = self.app.store.read(&self.visit, at, self.access()).await?;
        self.app.note_use(tx.identity(), self.now, self.visit.ip.as_deref());
        Ok(tx)
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
        let opened = self.app.store.write(&self.visit, at, other, self.access()).await;
        let tx = opened.map_err(|error| self.answered(error))?;
        self.app.note_use(tx.identity(), self.now, self.visit.ip.as_deref());
        Ok(tx)
    }

    /// Opens all trees for reading, if the caller is the operator acting for nobody.
    pub(crate) async fn read_everything(&self) -> Result<Option<OperatorRead>> {
        if self.visit.credential != Credential::Operator || self.visit.assume.is_some() {
            return Ok(None);
        }
        Ok(Some(self.app.store.read_everything(&self.visit).await?))
    }

    /// Opens a transaction that makes a tree.
    pub(crate) async fn write_root(&self, root: &tenantry_core::account::Account) -> Result<OperatorWrite> {
        self.app.store.write_root(&self.visit, root).await.map_err(|error| self.answered(error))
    }

    /// Who the operator is, for answers that no tenant transaction stands behind.
    pub(crate) fn operator_identity(&self) -> Result<Identity> {
        let caller = tenantry_core::access::Caller::admit(tenantry_core::access::Bearer::Operator, None, self.now)?;
        Ok(Identity { caller, key: None })
    }

    fn answered(&self, error: tenantry_store::Error) -> Error {
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

    /// Commits a change with its records, and answers; a dry run rolls back and tells what would have been.
    pub(crate) async fn commit<T: Serialize, const S: u16>(
        &self,
        tx: TenantWrite,
        event: Event,
        reply: Reply<T, S>,
    ) -> Result<Reply<T, S>> {
        if self.dry_run {
            tx.abandon().await?;
            return Err(dry_run_answer(&event, &reply));
        }
        let revisions = tx.commit(&event, self.kept(&reply)?).await?;
        Ok(reply.revised(&revisions))
    }

    /// The same for a transaction that makes a tree.
    pub(crate) async fn commit_root<T: Serialize, const S: u16>(
        &self,
        tx: OperatorWrite,
        event: Event,
        reply: Reply<T, S>,
    ) -> Result<Reply<T, S>> {
        if self.dry_run {
            tx.abandon().await?;
            return Err(dry_run_answer(&event, &reply));
        }
        let revisions = tx.commit(&event, self.kept(&reply)?).await?;
        Ok(reply.revised(&revisions))
    }

    fn kept<T: Serialize, const S: u16>(&self, reply: &Reply<T, S>) -> Result<Option<Answer>> {
        let Some(sealer) = &self.sealer else { return Ok(None) };
        let json = serde_json::to_vec(&reply.prepare()?).map_err(Error::internal)?;
        Ok(Some(Answer { status: S, sealed: sealer.seal(&json, &self.app.chance)? }))
    }
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

/// The one credential of a request, whichever of the three headers it came in.
fn credential_text(headers: &HeaderMap) -> Result<String> {
    let plain = ["x-auth-token", "x-api-key"]
        .into_iter()
        .flat_map(|name| headers.get_all(name))
        .map(|value| value.to_str().ok());
    let bearer = headers.get_all(header::AUTHORIZATION).iter().map(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let mut found: Option<&str> = None;
    for text in plain.chain(bearer) {
        let text = text.map(str::trim).filter(|text| !text.is_empty()).ok_or(Code::KeyMalformed)?;
        if found.is_some_and(|other| other != text) {
            return Err(Code::AmbiguousCredentials.into());
        }
        found = Some(text);
    }
    found.map(str::to_owned).ok_or_else(|| Code::CredentialMissing.into())
}

fn credential(text: &str, app: &App) -> Result<Credential> {
    let hash = sha256(text.as_bytes());
    // Comparing hashes: how far two of them agree tells nothing about the token.
    if hash == app.operator_hash {
        return Ok(Credential::Operator);
    }
    key::check_text(text)?;
    Ok(Credential::Key { hash })
}

fn assume(headers: &HeaderMap) -> Result<Option<AccountId>> {
    match single(headers, headers::ASSUME, Code::AssumeMalformed)? {
        Some(id) => Ok(Some(id.parse().map_err(|_| Refusal::from(Code::AssumeMalformed))?)),
        None => Ok(None),
    }
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
fn single(headers: &HeaderMap, name: &str, malformed: Code) -> Result<Option<String>> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed.into());
    }
    let text = first.to_str().map_err(|_| Refusal::from(malformed))?.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
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
