//! A call through the gateway, phase by phase: receive, decide, forward, settle.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use ring::hmac;
use tenantry_core::network::{Networks, client_address};
use tenantry_core::path::CanonicalPath;
use tenantry_core::refusal::Code;
use tenantry_core::snapshot::Snapshot;
use tenantry_core::time::Monotonic;
use tenantry_core::{Refusal, Timestamp};

use crate::identity::{self, Signed, insert};
use crate::incoming::{self, Answering};
use crate::journal::Journal;
use crate::limits::{Admitted, Fields, Limiter};
use crate::outgoing::{Outgoing, strip_claims, strip_hops};
use crate::settle::Charge;
use crate::upstream::{Address, Upstreams, Way};
use crate::verdict::{Allowed, Call, Judge, Refused};
use crate::{headers, lease, tunnel};

/// What we are called in `Via`.
const NAME: &str = "tenantry";
const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_HOST: &str = "x-forwarded-host";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";

/// How our keys begin.
const KEYS: &str = "tny_";

/// The status of an answer that hands the connection over.
const SWITCHING: u16 = 101;

/// How a gateway is configured.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where APIs are that name no upstream of their own.
    pub upstream: Option<Address>,
    /// Certificates of authorities that servers behind may be signed by, as PEM, besides the usual ones.
    pub upstream_ca: Option<String>,
    /// How long a server behind may do nothing.
    pub timeout: Duration,
    /// What the API behind can check our word with.
    pub identity_secret: Option<String>,
    /// The proxies in front that are believed.
    pub proxies: Networks,
    /// Whether answers wait until what the call used is on the disk.
    pub usage_before_answer: bool,
}

/// A gateway. One is shared by all calls.
pub struct Gateway {
    world: Arc<ArcSwap<Snapshot>>,
    limiter: Arc<Limiter>,
    journal: Arc<Journal>,
    upstreams: Upstreams,
    timeout: Duration,
    secret: Option<hmac::Key>,
    proxies: Networks,
    usage_before_answer: bool,
}

/// A call that has come in.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Who connected.
    pub peer: IpAddr,
    /// When it is judged.
    pub now: Timestamp,
    /// The same by a clock that nobody sets.
    pub monotonic: Monotonic,
    /// Its id.
    pub id: &'a str,
}

impl Gateway {
    /// A gateway that decides by whatever `world` holds at the time, and by what `limiter` counted. What calls use goes into
    /// `journal`.
    ///
    /// # Errors
    /// What is wrong with the options.
    pub fn new(
        world: Arc<ArcSwap<Snapshot>>,
        limiter: Arc<Limiter>,
        journal: Arc<Journal>,
        options: Options,
    ) -> Result<Self, String> {
        let Options { upstream, upstream_ca, timeout, identity_secret, proxies, usage_before_answer } = options;
        let secret = identity_secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
        let upstreams = Upstreams::new(upstream, upstream_ca.as_deref(), timeout)?;
        Ok(Self { world, limiter, journal, upstreams, timeout, secret, proxies, usage_before_answer })
    }

    /// Takes a call through all phases.
    ///
    /// # Errors
    /// Why there is no answer of the API behind.
    pub async fn call(
        &self,
        arrival: &Arrival<'_>,
        request: Request<Incoming>,
    ) -> Result<Response<Answering<Admitted>>, Refused> {
        let (allowed, admitted) = self.decide(arrival, &request)?;
        let way = self.upstreams.way(allowed.endpoint, allowed.upstream.as_deref())?;
        let charge = self.reserve(arrival, allowed)?;
        let response = self.forward(arrival, request, charge.allowed(), &way).await?;
        Ok(self.settle(arrival, charge, admitted, response).await)
    }

    /// Receives and decides: reads what the call is, and asks the snapshot whether it may happen.
    fn decide(&self, arrival: &Arrival<'_>, request: &Request<Incoming>) -> Result<(Allowed, Admitted), Refused> {
        let fields = request.headers();
        let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
        for name in [header::HOST, header::CONTENT_TYPE] {
            if fields.get_all(&name).iter().nth(1).is_some() {
                return Err(Code::HeaderRepeated.into());
            }
        }
        // It would be in the logs of the API behind.
        if request.uri().query().is_some_and(has_key) {
            return Err(Code::CredentialInQuery.into());
        }
        let call = Call {
            key: headers::credential(fields)?.ok_or(Code::CredentialMissing)?,
            assume: headers::single(fields, headers::ASSUME, Code::AssumeMalformed)?,
            address: client_address(arrival.peer, texts(fields, X_FORWARDED_FOR), &self.proxies),
            method: request.method().as_str(),
            target,
            resource: None,
        };
        let judge = Judge {
            snapshot: &self.world.load(),
            limiter: &self.limiter,
            now: arrival.now,
            monotonic: arrival.monotonic,
        };
        judge.admit(&call)
    }

    /// Sets aside what the call may cost. From here on it is recorded, however it ends.
    fn reserve(&self, arrival: &Arrival<'_>, allowed: Allowed) -> Result<Charge, Refused> {
        if !self.journal.has_room() {
            return Err(Code::UsageUnrecorded.into());
        }
        // No API has plans yet, so that there is nothing to lease.
        let reserved = lease::reserve(None, allowed.cost)?;
        Ok(Charge::new(Arc::clone(&self.journal), allowed, arrival.now, reserved))
    }

    /// Sends the call on, and waits for the head of its answer.
    async fn forward(
        &self,
        arrival: &Arrival<'_>,
        mut request: Request<Incoming>,
        allowed: &Allowed,
        way: &Way,
    ) -> Result<Forwarded, Refusal> {
        let wanted = upgrade(&request);
        let client = wanted.is_some().then(|| hyper::upgrade::on(&mut request));
        let (mut parts, body) = request.into_parts();
        self.readdress(arrival, &mut parts, allowed, way)?;
        if let Some(protocol) = &wanted {
            parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(header::UPGRADE, protocol.clone());
        }
        let (body, upload) = Outgoing::new(body);
        let answer = self.upstreams.send(way, Request::from_parts(parts, body), upload.as_ref()).await?;
        let switched = answer.status().as_u16() == SWITCHING;
        if switched && !wanted.as_ref().is_some_and(|wanted| offers(wanted, answer.headers())) {
            tracing::warn!(request = arrival.id, "the server behind switched protocols unasked");
            return Err(Code::UpstreamFailed.into());
        }
        Ok(Forwarded { answer, client: client.filter(|_| switched) })
    }

    /// Makes the head of the client's request that of ours.
    fn readdress(&self, arrival: &Arrival<'_>, parts: &mut Parts, allowed: &Allowed, way: &Way) -> Result<(), Refusal> {
        let path = written(parts.uri.path_and_query().ok_or(Code::PathInvalid)?)?;
        let host = parts.uri.authority().and_then(|own| HeaderValue::from_str(own.as_str()).ok());
        let host = host.or_else(|| parts.headers.get(header::HOST).cloned());
        let fields = &mut parts.headers;
        let believed = self.proxies.contain(arrival.peer);
        let chain = believed.then(|| texts(fields, X_FORWARDED_FOR).collect::<Vec<_>>().join(", "));
        let scheme = fields.get(X_FORWARDED_PROTO).filter(|value| believed && is_scheme(value)).cloned();
        strip_hops(fields);
        strip_claims(fields);
        let chain = chain.filter(|chain| !chain.is_empty()).map(|chain| chain + ", ").unwrap_or_default();
        insert(fields, X_FORWARDED_FOR, &format!("{chain}{}", arrival.peer.to_canonical()));
        fields.insert(X_FORWARDED_PROTO, scheme.unwrap_or(HeaderValue::from_static("http")));
        if let Some(host) = host {
            fields.insert(X_FORWARDED_HOST, host);
        }
        fields.append(header::VIA, via(parts.version));
        let signed =
            Signed { now: arrival.now, request: arrival.id, method: parts.method.as_str(), target: path.as_str() };
        identity::tell(fields, allowed, &signed, self.secret.as_ref());
        // The client makes the host of the address.
        fields.remove(header::HOST);
        let uri = Uri::builder().scheme(way.address.scheme().clone()).authority(way.address.authority().clone());
        parts.uri = uri.path_and_query(path).build().map_err(|_| Code::PathInvalid)?;
        parts.version = Version::HTTP_11;
        Ok(())
    }

    /// Settles the call by its answer, which is passed on while it comes in.
    async fn settle(
        &self,
        arrival: &Arrival<'_>,
        charge: Charge,
        mut admitted: Admitted,
        forwarded: Forwarded,
    ) -> Response<Answering<Admitted>> {
        let Forwarded { mut answer, client } = forwarded;
        let protocol = answer.headers().get(header::UPGRADE).filter(|_| client.is_some()).cloned();
        let limits = admitted.report.fields();
        if let Some(client) = client {
            // The call lasts as long as the connection.
            tunnel::run(client, hyper::upgrade::on(&mut answer), std::mem::take(&mut admitted));
        }
        let (mut parts, body) = answer.into_parts();
        let fields = &mut parts.headers;
        incoming::strip(fields);
        if let Some(protocol) = protocol {
            fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            fields.insert(header::UPGRADE, protocol);
        }
        fields.append(header::VIA, via(parts.version));
        insert(fields, headers::REQUEST_ID, arrival.id);
        insert(fields, headers::ACTOR, &charge.allowed().actor.to_string());
        insert(fields, headers::SUBJECT, &charge.allowed().subject().to_string());
        let settled = charge.answered(parts.status.as_u16());
        insert(fields, headers::CHARGED, &settled.credits.to_string());
        if let Some(position) = settled.position.filter(|_| self.usage_before_answer) {
            self.journal.durable(position).await;
        }
        if let Some(Fields { policy, limit }) = limits {
            insert(fields, headers::RATE_LIMIT_POLICY, &policy);
            insert(fields, headers::RATE_LIMIT, &limit);
        }
        parts.version = Version::HTTP_11;
        Response::from_parts(parts, Answering::new(body, self.timeout, admitted))
    }
}

/// An answer, and the client's connection if it is handed over.
struct Forwarded {
    answer: Response<Incoming>,
    client: Option<OnUpgrade>,
}

/// The target of a request with its path as it was judged: written in one way only, however the client escaped it.
fn written(target: &PathAndQuery) -> Result<PathAndQuery, Refusal> {
    if !target.path().contains('%') {
        return Ok(target.clone());
    }
    let path = CanonicalPath::parse(target.path())?;
    let slash = if target.path().len() > 1 && target.path().ends_with('/') { "/" } else { "" };
    let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{path}{slash}{query}").parse().map_err(|_| Code::PathInvalid.into())
}

/// What the client wants its connection to become. Only HTTP/1.1 has that.
fn upgrade(request: &Request<Incoming>) -> Option<HeaderValue> {
    let asks = texts(request.headers(), header::CONNECTION.as_str())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    let protocol = request.headers().get(header::UPGRADE)?;
    // `h2c` is ours to answer, and no answer is one: HTTP/1.1 it stays.
    let ours = protocol.as_bytes().eq_ignore_ascii_case(b"h2c");
    (asks && !ours && request.version() == Version::HTTP_11).then(|| protocol.clone())
}

/// Whether a server took one of the protocols that a client wants. Their names have no case (RFC 9110, section 7.8).
fn offers(wanted: &HeaderValue, taken: &HeaderMap) -> bool {
    let taken = taken.get(header::UPGRADE).map(|taken| taken.as_bytes().trim_ascii());
    let mut wanted = wanted.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    taken.is_some_and(|taken| wanted.any(|wanted| wanted.eq_ignore_ascii_case(taken)))
}

/// Whether a query holds one of our keys.
fn has_key(query: &str) -> bool {
    query.split('&').filter_map(|pair| pair.split_once('=')).any(|(_, value)| value.starts_with(KEYS))
}

/// The values of a header. What is no text is read as one that is wrong.
fn texts<'a>(fields: &'a HeaderMap, name: &str) -> impl DoubleEndedIterator<Item = &'a str> {
    fields.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"))
}

fn is_scheme(value: &HeaderValue) -> bool {
    [Scheme::HTTP, Scheme::HTTPS].iter().any(|scheme| value.as_bytes() == scheme.as_str().as_bytes())
}

/// Ourselves, as the last server that a message of this version came through.
fn via(version: Version) -> HeaderValue {
    let version = match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    HeaderValue::try_from(format!("{version} {NAME}")).unwrap_or(HeaderValue::from_static(NAME))
}
