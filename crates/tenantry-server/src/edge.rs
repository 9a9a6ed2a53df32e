//! What happens to every request, whatever its route: an id, a canonical path, a deadline, a
//! log line, figures, and a body for every refusal (of a request in gRPC, a status in its place).

use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tenantry_core::Refusal;
use tenantry_core::id::RequestId;
use tenantry_core::network::client_address;
use tenantry_core::path::CanonicalPath;
use tenantry_core::refusal::Code;
use tenantry_store::tenant::Route;

use crate::ctx::{Arrival, Payload};
use crate::problem::{Error, Refused, in_grpc, meant, render};
use crate::reply::headers;
use crate::router::PREFIXES;
use crate::state::App;

/// The largest body that is read.
const LARGEST_BODY: usize = 1 << 20;

/// The socket address of the client; [`crate::net`] puts it into every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The target as it was asked for, before a trailing slash is taken off; from [`crate::net`], too.
#[derive(Debug, Clone)]
pub(crate) struct Asked(pub(crate) Uri);

/// Wraps every request.
pub(crate) async fn every_request(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let (now, started) = (app.clock.now(), Instant::now());
    let id: RequestId = app.chance.id(now);
    let ip = client(&app, &request);
    let method = request.method().clone();
    let speaks_grpc = speaks_grpc(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();

    let asked = request.extensions().get::<Asked>().map_or_else(|| request.uri().clone(), |Asked(uri)| uri.clone());

    let called = check_target(&asked).map(|path| called(&method, &path));
    let answered = match called {
        Ok(called) => {
            request.extensions_mut().insert(Arrival { request: id, now, ip, called });
            tokio::time::timeout(app.config.timeouts.request, next.run(request)).await
        }
        Err(refusal) => Ok(Error::Refused(refusal).into_response()),
    };
    let response = answered.unwrap_or_else(|_| Error::from(Code::DeadlineExceeded).into_response());

    let response = if speaks_grpc { in_grpc(response) } else { response };
    let response = finish(response, id, &app.config.public_url);
    let (status, took) = (meant(&response).as_u16(), started.elapsed());
    app.metrics.answered(&method, &route, status, took);
    let actor = header_text(&response, headers::ACTOR);
    let subject = header_text(&response, headers::SUBJECT);
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let peer = ip.map(tracing::field::display);
    if asked_for_each_call(&route) {
        tracing::debug!(request = %id, %method, route, status, micros, peer, actor, subject, "answered");
    } else {
        tracing::info!(request = %id, %method, route, status, micros, peer, actor, subject, "answered");
    }
    response
}

/// Whether a route is asked along with each call of an API: a line for each would be a log of the API's.
fn asked_for_each_call(route: &str) -> bool {
    ["/decisions", "/decisions/batch", "/Check"].iter().any(|end| route.ends_with(end)) || route.contains("/authz/")
}

fn header_text<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Whether a request is one of gRPC: then so is its answer, whatever it is.
pub(crate) fn speaks_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"));
    kind.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Gives an answer what every answer has, and a refusal its body.
pub(crate) fn finish(mut response: Response, id: RequestId, public_url: &str) -> Response {
    if let Some(Refused(refusal)) = response.extensions_mut().remove::<Refused>() {
        response = render(response, refusal, id, public_url);
    }
    let fields = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        fields.insert(headers::REQUEST_ID, id);
    }
    fields.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The address of the client: the peer's, unless that is a proxy that is trusted.
fn client(app: &App, request: &Request) -> Option<IpAddr> {
    let Peer(peer) = request.extensions().get::<Peer>()?;
    client_address_of(app, peer.ip(), request.headers())
}

/// The address of who is connected, or of whom a proxy names that is trusted.
pub(crate) fn client_address_of(app: &App, peer: IpAddr, fields: &HeaderMap) -> Option<IpAddr> {
    let forwarded = fields.get_all("x-forwarded-for").iter();
    // What is no text is no address: it is read as one that is wrong.
    client_address(peer, forwarded.map(|value| value.to_str().unwrap_or("?")), &app.config.trusted_proxies)
}

/// A call as rules name it: below the prefix, whichever it is. Methods that no route has are refused later.
fn called(method: &Method, path: &CanonicalPath<'_>) -> Option<Route> {
    let below = |prefix: &&'static str| {
        path.as_str().strip_prefix(*prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let rest = PREFIXES.iter().find_map(below).unwrap_or(path.as_str());
    Some(Route { method: method.as_str().parse().ok()?, path: if rest.is_empty() { "/" } else { rest }.to_owned() })
}

/// Paths that would have to be repaired, and credentials in addresses, are refused.
fn check_target(uri: &Uri) -> Result<CanonicalPath<'_>, Refusal> {
    let path = CanonicalPath::parse(uri.path())?;
    let query = uri.query().unwrap_or_default();
    let named = query.split('&').filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
        let name = name.to_ascii_lowercase().replace(['-', '_'], "");
        value.starts_with("tny_")
            || ["apikey", "xapikey", "authtoken", "xauthtoken", "accesstoken"].contains(&name.as_str())
    });
    if named { Err(Code::CredentialInQuery.into()) } else { Ok(path) }
}

/// Reads the body of a request that may change something, up to the limit.
pub(crate) async fn read_payload(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let payload = match collect(body).await {
        Ok(bytes) => Payload(bytes),
        Err(error) => return error.into_response(),
    };
    parts.extensions.insert(payload);
    next.run(Request::from_parts(parts, Body::empty())).await
}

async fn collect(body: Body) -> Result<Bytes, Error> {
    match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Code::BodyTooLarge.into()),
        Err(error) => Err(Refusal::new(Code::InvalidJson, format!("The body ended early: {error}")).into()),
    }
}

/// The answer to a path that nothing serves.
pub(crate) async fn unknown_route() -> Error {
    Code::RouteUnknown.into()
}

/// The answer to a method that the route does not take.
pub(crate) async fn unknown_method() -> Error {
    Code::MethodNotAllowed.into()
}

/// The answer if a handler panicked: the connection and the server live on.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the layer's")]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Error::internal(text.unwrap_or("a panic").to_owned()).into_response()
}
