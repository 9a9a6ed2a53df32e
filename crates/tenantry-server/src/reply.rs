//! Answers: typed on their way through the use cases, prepared when they leave.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tenantry_core::access::Actor;
use tenantry_core::event::Revision;
use tenantry_core::id::AccountId;
use tenantry_store::record::revision_text;
use tenantry_store::tenant::Identity;

use crate::problem::{Error, Result};

/// The names of our own headers: those that both planes have, and those of this one.
pub(crate) mod headers {
    pub(crate) use tenantry_gateway::headers::{
        ACCOUNT, ACTOR, ASSUME, KEY, OURS, RATE_LIMIT, RATE_LIMIT_POLICY, REQUEST_ID, SUBJECT, USER,
    };
    use tenantry_gateway::limits::Fields;

    /// Of decisions: what is called, for the server behind; and why not, for the proxy.
    pub(crate) const API: &str = "x-tenantry-api";
    pub(crate) const ENDPOINT: &str = "x-tenantry-endpoint";
    pub(crate) const COST: &str = "x-tenantry-cost";
    pub(crate) const CODE: &str = "x-tenantry-code";
    pub(crate) const STATUS: &str = "x-tenantry-status";
    pub(crate) const REVISION: &str = "x-tenantry-rev";
    pub(crate) const MIN_REVISION: &str = "x-tenantry-min-rev";
    pub(crate) const REPLAYED: &str = "idempotency-replayed";
    pub(crate) const ASSUME_REASON: &str = "x-assume-reason";
    pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

    /// What a client is told about its limits.
    pub(crate) fn of_limits(fields: Fields) -> [(&'static str, String); 2] {
        [(RATE_LIMIT_POLICY, fields.policy), (RATE_LIMIT, fields.limit)]
    }
}

/// A body with the status that its type says, and what goes into the headers beside it.
#[derive(Debug)]
pub(crate) struct Reply<T, const STATUS: u16 = 200> {
    pub(crate) body: T,
    version: Option<i64>,
    actor: Option<String>,
    subject: Option<String>,
    revision: Option<String>,
    cookies: Vec<String>,
    others: Vec<(&'static str, String)>,
}

/// A 201.
pub(crate) type Created<T> = Reply<T, 201>;

/// A 202: something else has to happen first.
pub(crate) type Accepted<T> = Reply<T, 202>;

impl<T, const STATUS: u16> Reply<T, STATUS> {
    pub(crate) fn new(identity: &Identity, body: T) -> Self {
        let caller = &identity.caller;
        let actor = match caller.actor {
            Actor::Key { account, .. } => account.to_string(),
            Actor::User { user, .. } => user.to_string(),
            other => other.kind().to_owned(),
        };
        let subject = caller.subject.map(|id| id.to_string());
        Self { actor: Some(actor), subject, ..Self::to_anybody(body) }
    }

    /// An answer to an account, or to the operator.
    pub(crate) fn to_account(account: Option<AccountId>, body: T) -> Self {
        let actor = account.map_or_else(|| Actor::Operator.kind().to_owned(), |account| account.to_string());
        Self { actor: Some(actor), subject: account.map(|id| id.to_string()), ..Self::to_anybody(body) }
    }

    /// An answer to somebody who did not say who they are.
    pub(crate) fn to_anybody(body: T) -> Self {
        Self {
            body,
            version: None,
            actor: None,
            subject: None,
            revision: None,
            cookies: Vec::new(),
            others: Vec::new(),
        }
    }

    /// The same answer with another body.
    pub(crate) fn with_body<U>(self, body: U) -> Reply<U, STATUS> {
        let Self { body: _, version, actor, subject, revision, cookies, others } = self;
        Reply { body, version, actor, subject, revision, cookies, others }
    }

    /// Sets a cookie.
    pub(crate) fn cookie(mut self, cookie: String) -> Self {
        self.cookies.push(cookie);
        self
    }

    /// Sends a header of this answer's own.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.others.push((name, value.into()));
        self
    }

    /// Sends the version as `ETag`.
    pub(crate) fn versioned(self, version: i64) -> Self {
        Self { version: Some(version), ..self }
    }

    pub(crate) fn revised(self, revisions: &[Revision]) -> Self {
        Self { revision: Some(revision_text(revisions)), ..self }
    }
}

impl<T: Serialize, const STATUS: u16> Reply<T, STATUS> {
    pub(crate) fn prepare(&self) -> Result<Prepared> {
        let mut prepared = Prepared::json(STATUS, &self.body)?;
        if let Some(version) = self.version {
            prepared.headers.push((header::ETAG.as_str().to_owned(), etag(version)));
        }
        let ours =
            [(headers::ACTOR, &self.actor), (headers::SUBJECT, &self.subject), (headers::REVISION, &self.revision)];
        for (name, value) in ours {
            prepared.headers.extend(value.clone().map(|value| (name.to_owned(), value)));
        }
        let cookies = self.cookies.iter().map(|cookie| (header::SET_COOKIE.as_str().to_owned(), cookie.clone()));
        prepared.headers.extend(cookies);
        prepared.headers.extend(self.others.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Ok(prepared)
    }
}

impl<T: Serialize, const STATUS: u16> IntoResponse for Reply<T, STATUS> {
    fn into_response(self) -> Response {
        self.prepare().map_or_else(IntoResponse::into_response, IntoResponse::into_response)
    }
}

/// An answer as JSON, or as a table for spreadsheets: whichever was asked for.
pub(crate) enum Sheet<T> {
    Json(Reply<T>),
    /// The text takes the place of the body, and is saved as a file of this name.
    Csv {
        reply: Reply<()>,
        name: String,
        text: String,
    },
}

impl<T: Serialize> IntoResponse for Sheet<T> {
    fn into_response(self) -> Response {
        let (reply, name, text) = match self {
            Self::Json(reply) => return reply.into_response(),
            Self::Csv { reply, name, text } => (reply, name, text),
        };
        let mut response =
            reply.header("content-disposition", format!("attachment; filename=\"{name}\"")).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
        *response.body_mut() = Body::from(text);
        response
    }
}

/// An answer of headers alone, for a proxy that reads nothing else.
pub(crate) struct Bare(pub(crate) Reply<()>);

impl IntoResponse for Bare {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.body_mut() = Body::empty();
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
            response.headers_mut().remove(name);
        }
        response
    }
}

/// The entity tag of a version.
pub(crate) fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// An answer as it leaves, and as it is kept for repetitions of its request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prepared {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Prepared {
    pub(crate) fn json<T: Serialize>(status: u16, body: &T) -> Result<Self> {
        let body = serde_json::to_string(body).map_err(Error::internal)?;
        Ok(Self { status, headers: Vec::new(), body })
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl IntoResponse for Prepared {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (status, json, self.body).into_response();
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}
