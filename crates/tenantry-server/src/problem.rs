//! The one place where errors become HTTP: RFC 9457 problem details, or the codes of gRPC for who speaks that.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenantry_api::{FieldError, Problem};
use tenantry_core::Refusal;
use tenantry_core::id::RequestId;
use tenantry_core::refusal::{Code, Kind};
use tenantry_gateway::verdict;

use crate::reply::{Prepared, headers};

/// The result of every handler.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How a request ends other than by its own answer.
#[derive(Debug)]
pub enum Error {
    /// A rule stands against it.
    Refused(Refusal),
    /// The same, told to a proxy that knows no other statuses than 401 and 403: the real one goes into a header.
    Narrowed(Refusal),
    /// One of these with header fields of its own.
    With(Box<Self>, Vec<(&'static str, String)>),
    /// The answer is ready: a repetition, or a dry run.
    Ready(Box<Prepared>),
    /// Our fault, or the database's. The source is for the log; the caller only learns the code.
    Failed {
        /// `internal` or one of the codes for "not now".
        code: Code,
        /// For the log.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Something that must not happen.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed { code: Code::Internal, source: source.into() }
    }

    /// The same for a proxy that knows no other refusals than 401 and 403.
    #[must_use]
    pub fn narrowed(self) -> Self {
        match self {
            Self::Refused(refusal) => Self::Narrowed(refusal),
            Self::With(error, fields) => Self::With(Box::new(error.narrowed()), fields),
            other => other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) | Self::Narrowed(refusal) => refusal.fmt(f),
            Self::With(error, _) => error.fmt(f),
            Self::Ready(_) => f.write_str("the answer is ready"),
            Self::Failed { code, source } => write!(f, "{code}: {source}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<verdict::Refused> for Error {
    fn from(refused: verdict::Refused) -> Self {
        let error = Self::Refused(refused.refusal);
        match refused.limits {
            None => error,
            Some(limits) => Self::With(Box::new(error), headers::of_limits(limits).into()),
        }
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
}

impl From<tenantry_store::Error> for Error {
    fn from(error: tenantry_store::Error) -> Self {
        match error {
            tenantry_store::Error::Refused(refusal) => Self::Refused(refusal),
            tenantry_store::Error::Unavailable(source) => Self::Failed { code: Code::DatabaseUnavailable, source },
            other => Self::internal(other),
        }
    }
}

/// The HTTP status of a family of refusals.
#[must_use]
pub const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Unpaid => StatusCode::PAYMENT_REQUIRED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Gone => StatusCode::GONE,
        Kind::Stale => StatusCode::PRECONDITION_FAILED,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Throttled => StatusCode::TOO_MANY_REQUESTS,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::BadGateway => StatusCode::BAD_GATEWAY,
        Kind::GatewayTimeout => StatusCode::GATEWAY_TIMEOUT,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The code of a refusal in gRPC.
fn grpc_code(code: Code) -> tonic::Code {
    match code.kind() {
        _ if code == Code::RouteUnknown => tonic::Code::Unimplemented,
        Kind::MethodNotAllowed => tonic::Code::Unimplemented,
        Kind::Malformed | Kind::MediaType | Kind::Unprocessable => tonic::Code::InvalidArgument,
        Kind::Unauthenticated => tonic::Code::Unauthenticated,
        Kind::Forbidden => tonic::Code::PermissionDenied,
        Kind::NotFound | Kind::Gone => tonic::Code::NotFound,
        Kind::Conflict => tonic::Code::Aborted,
        Kind::Stale => tonic::Code::FailedPrecondition,
        Kind::TooLarge | Kind::Throttled | Kind::Unpaid => tonic::Code::ResourceExhausted,
        Kind::Internal => tonic::Code::Internal,
        Kind::GatewayTimeout => tonic::Code::DeadlineExceeded,
        Kind::BadGateway | Kind::Unavailable => tonic::Code::Unavailable,
    }
}

/// A refusal on its way out. [`crate::edge`] gives it its body, since only it knows the request's id.
#[derive(Debug, Clone)]
pub(crate) struct Refused(pub(crate) Refusal);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let refusal = match self {
            Self::Ready(prepared) => return prepared.into_response(),
            Self::Refused(refusal) => refusal,
            Self::Narrowed(refusal) => return narrowed(&refusal),
            Self::With(error, fields) => return with_fields(error.into_response(), fields),
            Self::Failed { code, source } => {
                tracing::error!(%code, error = %source, "request failed");
                code.into()
            }
        };
        let mut response = status(refusal.code.kind()).into_response();
        response.extensions_mut().insert(Refused(refusal));
        response
    }
}

fn with_fields(mut response: Response, fields: Vec<(&'static str, String)>) -> Response {
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Without a body: nginx does not read it, and closes the connection if there is one.
fn narrowed(refusal: &Refusal) -> Response {
    let code = refusal.code;
    let unknown = code.kind() == Kind::Unauthenticated;
    let mut response = if unknown { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN }.into_response();
    let fields = response.headers_mut();
    fields.insert(headers::CODE, HeaderValue::from_static(code.as_str()));
    fields.insert(headers::STATUS, HeaderValue::from(status(code.kind()).as_u16()));
    advise(fields, refusal);
    response.extensions_mut().insert(Meant(status(code.kind())));
    response
}

/// Says in the headers of a refusal how to go about it: with what credential, or when again.
fn advise(fields: &mut HeaderMap, refusal: &Refusal) {
    let code = refusal.code;
    if code.kind() == Kind::Unauthenticated {
        fields.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tenantry\""));
    }
    let again = matches!(code.kind(), Kind::Unavailable | Kind::Throttled) || code == Code::IdempotencyInFlight;
    if again || refusal.wait.is_some() {
        // In whole seconds, and not too early.
        let seconds = refusal.wait.map_or(1, |wait| wait.0.saturating_add(999_999).div_euclid(1_000_000).max(1));
        fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// Gives a refusal its headers and body.
pub(crate) fn render(mut response: Response, refusal: Refusal, request: RequestId, public_url: &str) -> Response {
    let code = refusal.code;
    advise(response.headers_mut(), &refusal);
    let problem = Problem {
        kind: format!("{public_url}/docs/errors#{code}"),
        title: code.title().to_owned(),
        status: response.status().as_u16(),
        detail: refusal.detail.into_owned(),
        code: code.to_string(),
        request_id: request.to_string(),
        errors: refusal.fields.into_iter().map(|e| FieldError { field: e.field, message: e.message }).collect(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.remove(header::CONTENT_LENGTH);
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let (parts, _) = response.into_parts();
    Response::from_parts(parts, body.into())
}

/// The status that an answer stands for, where its own says nothing: to HTTP, all answers of gRPC are a 200.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meant(pub(crate) StatusCode);

/// What is counted and logged as the status of an answer.
pub(crate) fn meant(response: &Response) -> StatusCode {
    let extensions = response.extensions();
    match extensions.get::<Meant>() {
        Some(Meant(status)) => *status,
        // What the framing of gRPC turns away by itself is no message.
        None if extensions.get::<tonic::Status>().is_some() => StatusCode::BAD_REQUEST,
        None => response.status(),
    }
}

/// Gives a refusal the form that it has in gRPC.
pub(crate) fn in_grpc(mut response: Response) -> Response {
    let Some(Refused(refusal)) = response.extensions_mut().remove::<Refused>() else { return response };
    let status = tonic::Status::new(grpc_code(refusal.code), refusal.detail);
    let mut told: Response = status.into_http();
    told.extensions_mut().insert(Meant(response.status()));
    told
}
