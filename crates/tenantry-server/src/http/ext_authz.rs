//! Questions of Envoy, in gRPC: may the call that is waiting in front of an API go on? Other proxies ask over HTTP, see
//! [`super::authz`].
//!
//! It is no row of the router: what is asked and answered is laid down by Envoy, in [`messages`].

use std::iter::once;
use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Router, body};
use tenantry_core::Refusal;
use tenantry_core::network::client_address;
use tenantry_core::refusal::Code;
use tenantry_gateway::headers::CREDENTIALS;
use tenantry_gateway::limits::Fields;
use tenantry_gateway::verdict::{Allowed, Call};
use tonic::server::Grpc;
use tonic_prost::ProstCodec;
use tower::service_fn;

use self::messages::{
    CheckRequest, CheckResponse, DeniedHttpResponse, HeaderAppendAction, HeaderValueOption, HttpRequest, HttpResponse,
    HttpStatus, OkHttpResponse, Peer, Status,
};
use super::authz::{self, identity};
use crate::app::decisions;
use crate::ctx::Arrival;
use crate::edge;
use crate::problem::{Error, Meant, Result};
use crate::reply::headers;
use crate::state::App;

pub mod messages;

/// The path that gRPC gives to the one method of the service.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The largest question that is read: the head of a call, and what Envoy adds.
const LARGEST_MESSAGE: usize = 64 << 10;

/// The service, open to whoever can reach it: it tells nothing that a call with the key would not tell.
pub(crate) fn service() -> Router<App> {
    Router::new().route(CHECK, post(check))
}

async fn check(State(app): State<App>, Extension(arrival): Extension<Arrival>, request: Request) -> Response {
    if !edge::speaks_grpc(request.headers()) {
        return Error::from(Code::MediaTypeUnsupported).into_response();
    }
    let answer = |asked: tonic::Request<CheckRequest>| answer(&app, &arrival, asked.into_inner());
    let mut grpc = Grpc::new(ProstCodec::default()).max_decoding_message_size(LARGEST_MESSAGE);
    grpc.unary(service_fn(answer), request).await.map(Body::new)
}

/// Whatever is wrong with the call itself is told to the caller. An error of gRPC would not reach them: of that, Envoy tells
/// only that it could not ask.
async fn answer(
    app: &App,
    arrival: &Arrival,
    asked: CheckRequest,
) -> Result<tonic::Response<CheckResponse>, tonic::Status> {
    let attributes = asked.attributes.unwrap_or_default();
    // What is not there is empty: a call without a credential.
    let http = attributes.request.and_then(|request| request.http).unwrap_or_default();
    let judged = headers_of(&http).and_then(|sent| {
        let call = authz::from_headers(&sent, address(app, arrival.ip, attributes.source, &sent))?;
        // What is no text is no path, either, and is refused as such.
        let target = String::from_utf8_lossy(&http.path);
        decisions::authorize(app, arrival.now, &Call { method: &http.method, target: &target, ..call })
    });
    Ok(match judged {
        Ok((allowed, limits)) => go_on(&allowed, limits, &http),
        Err(error) => denied(app, arrival, error).await,
    })
}

/// The headers of a call.
fn headers_of(http: &HttpRequest) -> Result<HeaderMap> {
    let mut sent = HeaderMap::new();
    for (name, value) in http.all_headers().filter(|(name, _)| !name.starts_with(':')) {
        let unreadable = || Refusal::at(Code::InvalidParameter, name, "is no header of HTTP");
        let read = HeaderName::try_from(name).map_err(|_| unreadable())?;
        let value = HeaderValue::try_from(value).map_err(|_| unreadable())?;
        // There is no message with more of them than a map takes.
        sent.append(read, value);
    }
    Ok(sent)
}

/// Where the call comes from: who asks is its last hop, who is connected to Envoy the one before, and then come those that
/// the call names. Each is believed as far as the one behind it is trusted. So of an Envoy that is not trusted it is its own
/// address, and where Envoy does not say who is connected (by a socket of another kind), it is nobody's.
fn address(app: &App, asking: Option<IpAddr>, source: Option<Peer>, sent: &HeaderMap) -> Option<IpAddr> {
    let socket = source.and_then(|peer| peer.address).and_then(|address| address.socket_address);
    let source = socket.map_or_else(|| "?".to_owned(), |socket| socket.address);
    let named = sent.get_all("x-forwarded-for").iter().map(|value| value.to_str().unwrap_or("?"));
    client_address(asking?, named.chain(once(source.as_str())), &app.config.trusted_proxies)
}

/// The API behind learns who calls from us alone, and no credential.
fn go_on(allowed: &Allowed, limits: Option<Fields>, http: &HttpRequest) -> tonic::Response<CheckResponse> {
    let (told, silent): (Vec<_>, Vec<_>) = identity(allowed).into_iter().partition(|(_, value)| !value.is_empty());
    let is_told = |name: &str| told.iter().any(|(own, _)| *own == name);
    let claimed = http.all_headers().map(|(name, _)| name).filter(|name| reads_as_ours(name) && !is_told(name));
    let always = CREDENTIALS.into_iter().chain([headers::ASSUME]).chain(silent.iter().map(|(name, _)| *name));
    let ok = OkHttpResponse {
        headers: told.iter().map(|(name, value)| set(name, value)).collect(),
        response_headers_to_add: limits
            .into_iter()
            .flat_map(headers::of_limits)
            .map(|(name, value)| set(name, &value))
            .collect(),
        headers_to_remove: always.map(str::to_owned).chain(claimed.map(str::to_owned)).collect(),
    };
    let mut response = said(tonic::Code::Ok, HttpResponse::Ok(ok));
    // For the log.
    let actor = told.iter().find(|(name, _)| *name == headers::ACTOR);
    if let Some(actor) = actor.and_then(|(_, actor)| actor.parse().ok()) {
        response.metadata_mut().insert(headers::ACTOR, actor);
    }
    response
}

/// Many a server takes `_` for `-`.
fn reads_as_ours(name: &str) -> bool {
    name.replace('_', "-").to_ascii_lowercase().starts_with(headers::OURS)
}

/// The refusal as it would be told over HTTP.
async fn denied(app: &App, arrival: &Arrival, error: Error) -> tonic::Response<CheckResponse> {
    let (head, body) = edge::finish(error.into_response(), arrival.request, &app.config.public_url).into_parts();
    // It is in memory.
    let body = body::to_bytes(body, LARGEST_MESSAGE).await.unwrap_or_default();
    let fields = head.headers.iter().filter_map(|(name, value)| Some(set(name.as_str(), value.to_str().ok()?)));
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: head.status.as_u16().into() }),
        headers: fields.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let mut response = said(tonic::Code::PermissionDenied, HttpResponse::Denied(denied));
    response.extensions_mut().insert(Meant(head.status));
    response
}

fn said(code: tonic::Code, http: HttpResponse) -> tonic::Response<CheckResponse> {
    tonic::Response::new(CheckResponse { status: Some(Status { code: code.into() }), http_response: Some(http) })
}

/// A header in the place of all others of its name.
fn set(name: &str, value: &str) -> HeaderValueOption {
    let (key, value) = (name.to_owned(), value.to_owned());
    let header = messages::HeaderValue { key, value, raw_value: Vec::new() };
    HeaderValueOption { header: Some(header), append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into() }
}

impl HttpRequest {
    /// Names and values of all headers, in whichever way they were sent.
    fn all_headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let joined = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let raw = self.header_map.iter().flat_map(|map| &map.headers).map(|header| {
            let value = if header.value.is_empty() { header.raw_value.as_slice() } else { header.value.as_bytes() };
            (header.key.as_str(), value)
        });
        joined.chain(raw)
    }
}
